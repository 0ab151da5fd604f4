"""Drop-ins: what published code calls, under its own names and arguments, done by degrade. Each module stands for one code base.

    degrade.compat.arniqa            distort_images, get_distortions_composition and their tables
    degrade.compat.imagecorruptions  corrupt, get_corruption_names
    degrade.compat.realesrgan        the degradation in RealESRGANModel.feed_data

Everywhere else in degrade a sample's result depends on its id alone. Who calls these has no ids and seeds global generators, so here, and only
here, an id is drawn from those where none is given. docs/compat.md tells what is equal and what is not.
"""
