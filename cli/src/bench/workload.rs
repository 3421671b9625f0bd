//! What the clients ask: from flags, from a workload file of the prototype, and by default.
//!
//! ```ini
//! [config]
//! reads = 50        ; how many in a hundred requests are reads
//! interval = 0      ; milliseconds between an answer and the next request
//! keys = 1000
//! keySize = 8       ; bytes
//! valueSize = 8     ; bytes
//! requests = 1000   ; of all clients together
//! ```
//! [`crate::config::ini`] says how such files are written.

use super::arguments::Load;
use crate::{
    config::{
        ConfigError,
        ini::{self, Known},
    },
    exit::{Exit, Failure},
};
use bytes::Bytes;
use ios_core::{
    service::kv::{Operation, request::encode},
    time::Span,
};
use std::path::Path;

/// What the clients ask, and when they stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    /// How many in a hundred requests are reads.
    pub reads: u8,
    /// Rest between an answer and the next request.
    pub interval: Span,
    /// How many keys there are.
    pub keys: u64,
    /// Bytes of a key.
    pub key_size: usize,
    /// Bytes of a value.
    pub value_size: usize,
    /// How much is measured.
    pub length: Length,
}

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// What begins within this time.
    Time(Span),
    /// So many requests.
    Requests(u64),
}

impl Default for Workload {
    fn default() -> Self {
        let (keys, key_size, value_size) = (10_000, 16, 64);
        Self { reads: 0, interval: Span::ZERO, keys, key_size, value_size, length: Length::Time(Span::secs(6)) }
    }
}

impl Workload {
    /// What the command line asks for, and where it is silent its workload file.
    pub fn new(load: &Load) -> Result<Self, Failure> {
        let mut workload = match &load.workload {
            Some(path) => Self::load(path)?,
            None => Self::default(),
        };
        workload.reads = load.reads.unwrap_or(workload.reads);
        workload.interval = load.interval.map_or(workload.interval, |interval| Span::millis(u64::from(interval)));
        workload.keys = load.keys.unwrap_or(workload.keys);
        workload.key_size = load.key_size.map_or(workload.key_size, |size| size as usize);
        workload.value_size = load.value_size.map_or(workload.value_size, |size| size as usize);
        workload.length = match (load.seconds, load.requests) {
            (Some(seconds), _) => Length::Time(Span::secs(u64::from(seconds))),
            (None, Some(requests)) => Length::Requests(requests),
            (None, None) => workload.length,
        };
        let digits = workload.digits();
        if workload.key_size < digits {
            let message = format!("{} keys need keys of {digits} bytes, not {}", workload.keys, workload.key_size);
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(workload)
    }

    fn load(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Exit::Usage, format!("cannot read {}: {error}", path.display())))?;
        Self::parse(&path.display().to_string(), &text).map_err(Failure::from)
    }

    /// Reads a workload file, which errors will say to be `file`.
    fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        const KNOWN: Known = Known::once("config", &["reads", "interval", "keys", "keySize", "valueSize", "requests"]);
        let mut workload = Self::default();
        for entry in ini::read(file, text, &[KNOWN])? {
            let number = |least: i64, most: i64| entry.number(least, most).map(|number| number as u64);
            match entry.key {
                "reads" => workload.reads = number(0, 100)? as u8,
                "interval" => workload.interval = Span::millis(number(0, 3_600_000)?),
                "keys" => workload.keys = number(1, 100_000_000)?,
                "keySize" => workload.key_size = number(1, 4096)? as usize,
                "valueSize" => workload.value_size = number(0, 1 << 20)? as usize,
                _ => workload.length = Length::Requests(number(1, i64::MAX)?),
            }
        }
        Ok(workload)
    }

    /// Of the number of the last key.
    fn digits(&self) -> usize {
        (self.keys - 1).to_string().len()
    }
}

/// What the keys that are made up begin with, as far as there is room: not to be mistaken for anybody else's.
const PREFIX: &[u8] = b"bench/";
/// Values are pieces of random bytes; so many different ones.
const PIECES: usize = 4096;

/// Requests made up one after the other.
pub struct Requests {
    reads: u64,
    keys: u64,
    key: Vec<u8>,
    digits: usize,
    /// Random bytes: values begin at any of the first [`PIECES`].
    bytes: Vec<u8>,
    value_size: usize,
    random: u64,
}

impl Requests {
    /// The same ones every time.
    pub fn new(workload: &Workload) -> Self {
        let digits = workload.digits();
        let mut key = vec![b'0'; workload.key_size];
        let prefix = PREFIX.len().min(workload.key_size - digits);
        key[..prefix].copy_from_slice(&PREFIX[..prefix]);
        let mut requests = Self {
            reads: u64::from(workload.reads),
            keys: workload.keys,
            key,
            digits,
            bytes: Vec::new(),
            value_size: workload.value_size,
            random: 0x9e37_79b9_7f4a_7c15,
        };
        requests.bytes = (0..PIECES + workload.value_size).map(|_| b'a' + requests.below(26) as u8).collect();
        requests
    }

    /// Whether the next request is a read, and the request.
    pub fn draw(&mut self) -> (bool, Bytes) {
        let read = self.below(100) < self.reads;
        let key = self.below(self.keys);
        let request = if read { self.get(key) } else { self.put(key) };
        (read, request)
    }

    /// Writes the key of this number.
    pub fn put(&mut self, number: u64) -> Bytes {
        let from = self.below(PIECES as u64) as usize;
        self.name(number);
        let value = &self.bytes[from..from + self.value_size];
        encode(&[Operation::Put { key: &self.key, value }]).expect("one operation within the limits")
    }

    fn get(&mut self, number: u64) -> Bytes {
        self.name(number);
        encode(&[Operation::Get { key: &self.key }]).expect("one operation within the limits")
    }

    fn name(&mut self, number: u64) {
        let mut rest = number;
        for digit in self.key.iter_mut().rev().take(self.digits) {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }

    /// A number below `limit`, even enough for this: xorshift64*.
    fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let drawn = self.random.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((u128::from(drawn) * u128::from(limit)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use ios_core::service::kv::request::Operations;

    fn check(text: &str, expected: Expect) {
        let told = match Workload::parse("workload.conf", text) {
            Ok(workload) => format!("{workload:?}"),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn a_workload_of_the_prototype_is_read() {
        check(
            "; from the prototype\n[config]\nreads = 50\ninterval = 2\nkeys = 10\nkeySize=8\nvaluesize = 8 # bytes\n\
             requests = 1000\n",
            expect![
                "Workload { reads: 50, interval: 2ms, keys: 10, key_size: 8, value_size: 8, length: Requests(1000) }"
            ],
        );
    }

    #[test]
    fn what_is_wrong_with_a_workload_is_said_with_its_line() {
        check(
            "[config]\nread = 5\n",
            expect![[r#"workload.conf:2: unknown key "read" in [config]; did you mean "reads"?"#]],
        );
        check(
            "[config]\n\ncolour = 5\n",
            expect![[
                r#"workload.conf:3: unknown key "colour" in [config]; known here: reads, interval, keys, keySize, valueSize, requests"#
            ]],
        );
        check(
            "[config]\nreads = 101\n",
            expect![[r#"workload.conf:2: reads in [config] must be a whole number from 0 to 100, not "101""#]],
        );
        check("[servers]\n", expect!["workload.conf:1: unknown section [servers]; known here: config"]);
        check("reads = 1\n", expect![[r#"workload.conf:1: "reads" stands before [config]"#]]);
        check(
            "[config]\nreads\n",
            expect!["workload.conf:2: reads in [config] must be a whole number from 0 to 100, not absent"],
        );
    }

    #[test]
    fn requests_have_the_sizes_the_keys_and_the_share_of_reads_that_were_asked_for() {
        let workload = Workload { reads: 25, keys: 10, key_size: 9, value_size: 3, ..Workload::default() };
        let mut requests = Requests::new(&workload);
        let (mut reads, mut keys) = (0, std::collections::BTreeSet::new());
        for _ in 0..1000 {
            let (read, request) = requests.draw();
            let mut operations = Operations::decode(&request).unwrap();
            let operation = operations.next().unwrap();
            assert_eq!(operation.value().map(<[u8]>::len), if read { None } else { Some(3) });
            keys.insert(String::from_utf8(operation.key().unwrap().to_vec()).unwrap());
            reads += i32::from(read);
        }
        assert!((200..300).contains(&reads), "{reads} of 1000");
        assert_eq!((keys.len(), keys.first().unwrap().as_str()), (10, "bench/000"));
    }
}
