//! Frames and codecs: bytes <-> values.
