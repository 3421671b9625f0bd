//! The data of a page agrees with the run, its text with the rules of HTML, and it is bounded.
