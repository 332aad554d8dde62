//! Writes a zone made from a seed to standard output: `generate_zone ORIGIN RECORDS [SEED]`. See `bench/checkers/run`.

#[allow(
    dead_code,
    unreachable_pub,
    reason = "the harness belongs to the compatibility tests; a bench uses a part of it"
)]
#[path = "../../compat-tests/harness/rng.rs"]
mod rng;
#[allow(dead_code, unreachable_pub, reason = "as above")]
#[path = "../../compat-tests/harness/zonegen.rs"]
mod zonegen;

use std::io::Write;
use std::process::ExitCode;

/// The seed unless one is given.
const SEED: u64 = 20_250_101;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| args.get(index).and_then(|text| text.parse::<u64>().ok());
    let (Some(origin), Some(records @ 6..)) = (args.first(), number(1)) else {
        eprintln!("usage: generate_zone ORIGIN RECORDS [SEED]      at least six records");
        return ExitCode::FAILURE;
    };
    let mut rng = rng::Rng::new(number(2).unwrap_or(SEED));
    let zone = zonegen::zone(origin, records as usize, 0, &mut rng);
    match std::io::stdout().write_all(zone.text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
