"""The text of an LLVM function while it is written: names, labels, loops, and arrays element by element."""

from __future__ import annotations

from collections.abc import Callable

from .values import scalar_type


class Text:
    """Instructions in the order they are emitted."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0
        self.label = "entry"
        self.declared: set[str] = set()

    def name(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def emit(self, text: str) -> str:
        """One instruction; its result."""
        own = self.name()
        self.lines.append(f"  {own} = {text}")
        return own

    def say(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def new_label(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label = label

    def loop(self, count: int, body: Callable[[str], None], step: int = 1) -> None:
        """`body(index)` for an i64 index from 0 to count."""
        if count <= step:
            body("0")
            return
        head, end, index, following = self.new_label("lanes"), self.new_label("after"), self.name(), self.name()
        before = self.label
        self.say(f"br label %{head}")
        self.start(head)
        at = len(self.lines)
        body(index)
        self.say(f"{following} = add nuw nsw i64 {index}, {step}")
        more = self.emit(f"icmp ult i64 {following}, {count}")
        self.lines.insert(at, f"  {index} = phi i64 [ 0, %{before} ], [ {following}, %{self.label} ]")
        self.say(f"br i1 {more}, label %{head}, label %{end}")
        self.start(end)

    def intrinsic(self, name: str, result: str, arguments: list[tuple[str, str]], suffix: str) -> str:
        full = f"@{name}.{suffix}" if suffix else f"@{name}"
        self.declared.add(f"declare {result} {full}({', '.join(kind for kind, _ in arguments)})")
        call = f"call {result} {full}({', '.join(f'{kind} {value}' for kind, value in arguments)})"
        if result == "void":
            self.say(call)
            return ""
        return self.emit(call)

    def when(self, condition: str, body: Callable[[], None]) -> None:
        if condition == "1":
            body()
            return
        inside, end = self.new_label("when"), self.new_label("end")
        self.say(f"br i1 {condition}, label %{inside}, label %{end}")
        self.start(inside)
        body()
        self.say(f"br label %{end}")
        self.start(end)

    def element(self, base: str, index: str, kind: str) -> str:
        """The address of one element of an array; booleans take a byte."""
        return self.emit(f"getelementptr inbounds {'i8' if kind == 'i1' else scalar_type(kind)}, ptr {base}, i64 {index}")

    def read(self, base: str, index: str, kind: str) -> str:
        at = self.element(base, index, kind)
        if kind == "i1":
            return self.emit(f"trunc i8 {self.emit(f'load i8, ptr {at}')} to i1")
        return self.emit(f"load {scalar_type(kind)}, ptr {at}")

    def put(self, value: str, base: str, index: str, kind: str) -> None:
        at = self.element(base, index, kind)
        if kind == "i1":
            self.say(f"store i8 {self.emit(f'zext i1 {value} to i8')}, ptr {at}")
        else:
            self.say(f"store {scalar_type(kind)} {value}, ptr {at}")

    def sum(self, a: str, b: str) -> str:
        return self.emit(f"add i64 {a}, {b}")

    def times(self, a: str, b: int) -> str:
        return self.emit(f"mul i64 {a}, {b}")
