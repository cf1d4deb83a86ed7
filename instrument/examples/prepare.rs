//! Prepares a module: `cargo run -p gridproof-instrument --example prepare IN OUT` writes what an engine would compile, or says
//! which rule of the class the module breaks.

#![expect(clippy::print_stdout, reason = "a program that prints")]

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("prepare IN OUT".into());
    };
    let module = std::fs::read(from)?;
    let prepared = gridproof_instrument::prepare(&module)?;
    println!(
        "{} bytes became {}; {:?}",
        module.len(),
        prepared.bytes.len(),
        prepared.complexity
    );
    std::fs::write(to, prepared.bytes)?;
    Ok(())
}
