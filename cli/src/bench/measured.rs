//! What a run has shown.

use super::{cpu::Used, report::histogram, timeline::Timeline};
use hdrhistogram::Histogram;
use ios_core::{client::Outcome, time::Span};
use runtime::client::Completion;

/// Everything that is known of a run. Only what was done has a latency, and only that is throughput.
pub struct Measured {
    /// How many clients there were.
    pub clients: u32,
    /// How long was measured.
    pub window: Span,
    /// Latencies of writes that were due in the window and done.
    pub puts: Histogram<u64>,
    /// And of reads.
    pub gets: Histogram<u64>,
    /// Both, by when they were due.
    pub timeline: Timeline,
    /// Requests done within the window.
    pub done_in_window: u64,
    /// Bytes of their keys and values.
    pub bytes_in_window: u64,
    /// Those of the window that were certainly not done.
    pub not_done: Failures,
    /// Those that may have been.
    pub unknown: Failures,
    /// Requests due in the window that nobody was free to begin.
    pub behind: u64,
    /// Those that were sent more than once.
    pub sent_again: u64,
    /// Processor time of the window.
    pub used: Used,
}

/// Requests that were not done, or perhaps not.
#[derive(Default)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// Why the last one.
    pub last: Option<String>,
}

impl Failures {
    fn add(&mut self, why: impl ToString) {
        self.count += 1;
        self.last = Some(why.to_string());
    }
}

impl Measured {
    /// Nothing yet.
    pub fn new(clients: u32) -> Self {
        Self {
            clients,
            window: Span::ZERO,
            puts: histogram(),
            gets: histogram(),
            timeline: Timeline::default(),
            done_in_window: 0,
            bytes_in_window: 0,
            not_done: Failures::default(),
            unknown: Failures::default(),
            behind: 0,
            sent_again: 0,
            used: Used::default(),
        }
    }

    /// A request of the window has ended.
    pub fn ended(&mut self, read: bool, due: Span, took: Span, completion: &Completion) {
        self.sent_again += u64::from(completion.tries > 1);
        match &completion.outcome {
            Outcome::Done { .. } => {
                let latencies = if read { &mut self.gets } else { &mut self.puts };
                latencies.saturating_record(took.0);
                self.timeline.record(due, took);
            }
            Outcome::NotDone { why } => self.not_done.add(why),
            Outcome::Unknown { why } => self.unknown.add(why),
        }
    }

    /// Requests of the window that were done.
    pub fn done(&self) -> u64 {
        self.puts.len() + self.gets.len()
    }

    /// Requests of the window that have an outcome.
    pub fn ended_count(&self) -> u64 {
        self.done() + self.not_done.count + self.unknown.count
    }

    /// Writes and reads together.
    pub fn all(&self) -> Histogram<u64> {
        let mut all = self.puts.clone();
        all.add(&self.gets).expect("both have the same bounds");
        all
    }

    /// Requests done a second.
    pub fn per_second(&self) -> f64 {
        self.done_in_window as f64 / self.seconds()
    }

    /// Thousands of bits of their keys and values a second.
    pub fn kbps(&self) -> f64 {
        self.bytes_in_window as f64 * 8.0 / 1000.0 / self.seconds()
    }

    /// Microseconds of processor time that each request done has cost the load generator, and the servers if known.
    pub fn processor_us(&self) -> (f64, Option<f64>) {
        let each = |used: Span| used.0 as f64 / 1000.0 / self.done_in_window.max(1) as f64;
        (each(self.used.client), self.used.servers.map(each))
    }

    fn seconds(&self) -> f64 {
        self.window.0.max(1) as f64 / 1e9
    }
}
