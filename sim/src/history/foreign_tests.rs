//! Foreign histories are read as they are meant, and what is wrong with others is said.

use super::{foreign::*, *};
use crate::linearize::{Verdict, judge, picture};

const LOG: &str = "INFO  jepsen.core - Worker 0 starting
INFO  jepsen.util - 0\t:invoke\t:write\t3
INFO  jepsen.util - :nemesis\t:info\t:start\tnil
INFO  jepsen.util - 1\t:invoke\t:cas\t[3 4]
INFO  jepsen.util - 0\t:info\t:write\t:timed-out
INFO  jepsen.util - 1\t:ok\t:cas\t[3 4]
INFO  jepsen.util - 1\t:invoke\t:cas\t[3 5]
INFO  jepsen.util - 1\t:fail\t:cas\t[3 5]
INFO  jepsen.util - 2\t:invoke\t:read\tnil
INFO  jepsen.util - 2\t:ok\t:read\t4
";

#[test]
fn a_log_of_a_register_is_read() {
    let (history, model) = read(LOG, None, None).unwrap();
    assert_eq!((history.operations().len(), model), (4, Model::Register));
    assert_eq!(history.operations()[0].outcome, Outcome::Unknown);
    assert!(judge(&history).is_ok(), "{history}");
    let wrong = LOG.replace(":ok\t:read\t4", ":ok\t:read\t3");
    let history = read(&wrong, None, None).unwrap().0;
    let Verdict::Illegal(illegal) = judge(&history) else { panic!("4 is what it reads") };
    assert_eq!(illegal.operations, [0, 1, 3]);
    let picture = picture::draw(&history, &illegal.operations);
    assert_eq!(
        picture,
        "process 0  |--put \"3\"-------------------------?
process 1    |--cas \"3\" \"4\"--|
process 2                      |--get: \"3\"--|
"
    );
}

#[test]
fn maps_are_read_and_their_model_is_found() {
    let invoke = |process: u64, rest: &str| format!("{{:process {process}, :type :invoke, {rest}}}\n");
    let ok = |process: u64, rest: &str| format!("{{:process {process}, :type :ok, {rest}}}\n");
    let both = |asked: &str, told: &str| invoke(0, asked) + &ok(0, told);
    let append = both(":f :append, :key \"0\", :value \"x\"", ":f :append, :key \"0\", :value \"x\"");
    let get = |value: &str| both(":f :get :key \"0\" :value nil", &format!(":f :get :key \"0\" :value {value}"));
    let txn =
        |x: u8| both(":f :txn :value [[:r :x nil] [:w :y 1]]", &format!(":f :txn :value [[:r :x {x}] [:w :y 1]]"));
    let lock = |kind: &str| both(&format!(":f :{kind} :value nil"), &format!(":f :{kind} :value nil"));
    for (text, model, good) in [
        (get("\"\"") + &append + &get("\"x\""), Model::KvAppend, true),
        (append.clone() + &append + &get("\"x\""), Model::KvAppend, false),
        (get("nil") + &append + &both(":f :count", ":f :count :value 1"), Model::Kv, true),
        (append.clone() + &both(":f :delete :key \"0\"", ":f :delete :key \"0\"") + &get("nil"), Model::Kv, true),
        (append + &both(":f :count", ":f :count :value 2"), Model::Kv, false),
        (
            format!("[{}]", both(":f :write :value 1", ":f :write :value 1") + &both(":f :read", ":f :read :value 1")),
            Model::Register,
            true,
        ),
        (both(":f :txn :value [[:w :x 7]]", ":f :txn :value [[:w :x 7]]") + &txn(7), Model::Transactions, true),
        (both(":f :txn :value [[:w :x 7]]", ":f :txn :value [[:w :x 7]]") + &txn(8), Model::Transactions, false),
        (lock("acquire") + &lock("release") + &lock("acquire"), Model::Lock, true),
        (lock("acquire") + &lock("acquire"), Model::Lock, false),
    ] {
        let (history, found) = read(&text, None, None).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!((found, judge(&history).is_ok()), (model, good), "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let begin = "{:process 0, :type :invoke, :f :read, :value nil}\n";
    for (text, line, why) in [
        ("", 1, "found none of these"),
        ("hello\n", 1, "found none of these"),
        ("[]", 1, "expected operations"),
        ("{\"event\":1}", 1, "expected"),
        ("[1 2", 1, "expected a map with :process"),
        (&*format!("{begin}{begin}"), 2, "still under way"),
        (&*format!("[{begin}"), 2, "expected `]`"),
        (&*begin.replace(":read", ":jump"), 1, ":jump"),
        (&*begin.replace(":invoke", ":ok"), 1, "did not begin"),
        (&*begin.replace(":invoke", ":maybe"), 1, ":invoke, :ok"),
        (&*begin.replace(" 0,", " -1,"), 1, "number of a process"),
        (&*begin.replace(":read, :value nil", ":cas, :value 7"), 1, "two values"),
        (&*begin.replace(":read", ":txn"), 1, "[[:r :x nil]]"),
        ("INFO jepsen.util - 0 :invoke", 1, "found the end"),
    ] {
        let error = read(text, None, None).unwrap_err();
        assert!(error.line == line && error.why.contains(why), "{text}: {error}");
    }
}

#[test]
fn no_damage_makes_the_reader_panic() {
    let samples = [LOG.to_string(), LOG.replace("INFO  jepsen.util - ", "{:process ").replace('\n', "}\n")];
    for text in samples {
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            for piece in ["", "[", "\"", "#", "{", "nil", "\u{e9}", "99999999999999999999"] {
                let damaged = format!("{}{piece}{}", &text[..at], &text[(at + 1).min(text.len())..]);
                for format in [None, Some(Format::Edn), Some(Format::Jepsen), Some(Format::Json)] {
                    let _ = read(&damaged, format, None);
                }
            }
        }
    }
}
