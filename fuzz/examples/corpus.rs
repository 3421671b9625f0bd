//! Writes the samples of every target into its corpus folder; other files there are left alone.
//!
//! `cargo run -p fuzz --example corpus`

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    for target in fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in (target.samples)() {
            fs::write(folder.join(name), bytes)?;
            println!("{}/{name}", target.name);
        }
    }
    Ok(())
}
