//! The binary `ios`.
fn main() {}
