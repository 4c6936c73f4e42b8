"""What can go wrong with the images. Every message says what to do about it."""


class MiniCIFARError(Exception):
    """Any error about the images themselves; the others derive from it."""


class ImagesNotFound(MiniCIFARError):
    """No source has the images."""


class CutShort(MiniCIFARError):
    """An archive, a file or a class ends early."""


class ChecksumWrong(MiniCIFARError):
    """An official file is not the published one."""


class ClassMissing(MiniCIFARError):
    """Some classes of the data set have no images."""


class OutOfRange(MiniCIFARError, ValueError):
    """`n_classes` or `R` does not fit the images."""


class DiskFull(MiniCIFARError):
    """The cache could not be written."""
