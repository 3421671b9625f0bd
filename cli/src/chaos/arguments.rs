//! The command line of `ios chaos`.

use super::plan::{Fault, parse_faults};
use clap::Args;
use ios_core::time::Span;
use std::path::PathBuf;

/// The longest run: what its clients saw is kept in memory until it is judged.
const LONGEST: Span = Span::secs(3600);

/// What to break, and for how long.
#[derive(Args, Clone, Debug)]
pub struct Chaos {
    /// How many members
    #[arg(short, long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=9))]
    pub nodes: u8,
    /// How long faults are begun; the last one ends, and all is judged, after that
    #[arg(long = "for", value_name = "TIME", default_value = "3m", value_parser = length)]
    pub length: Span,
    /// Instead: how often every fault is tried
    #[arg(long, value_name = "N", conflicts_with = "length", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub cycles: Option<u32>,
    /// What decides which fault strikes whom, when and how hard; drawn and told if not given
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Which faults: all, or some of those that `docs/chaos.md` lists
    #[arg(long, value_name = "NAME,...", default_value = "all", value_parser = parse_faults)]
    pub faults: Faults,
    /// How many clients put load on the cluster, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub clients: u8,
    /// Where data, logs and the history are kept; a temporary directory, removed if all is well, if not given
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Fail if a fault cannot be tried here (no strace, no faketime, no right to mount), or never took effect
    #[arg(long)]
    pub require_all: bool,
}

/// The faults that may strike, in the order of their list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults(pub Vec<Fault>);

/// A length of time, for which minutes are a unit too.
fn length(text: &str) -> Result<Span, String> {
    let minutes = text.strip_suffix('m').and_then(|number| number.parse::<u64>().ok());
    match minutes.map_or_else(|| text.parse(), |minutes| Ok(Span::secs(minutes.saturating_mul(60).min(1 << 32)))) {
        Ok(Span::ZERO) => Err("must be longer than nothing".to_owned()),
        Ok(span) if span > LONGEST => Err(format!("at most {LONGEST}: begin another run after it")),
        Ok(span) => Ok(span),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_in_minutes_too_and_are_bounded() {
        assert_eq!((length("3m"), length("90s")), (Ok(Span::secs(180)), Ok(Span::secs(90))));
        assert_eq!(length("60m"), Ok(Span::secs(3600)));
        for wrong in ["61m", "0m", "0s", "m", "3 minutes", "99999999999999999999m"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
    }
}
