//! The text form: what reads back, and what is refused with which words.

use super::*;

/// One of everything.
const EVERYTHING: &str = r##"ios-scenario 1
expect violation agreement
CLUSTER
seed 20931
network delay=2ms drop=1000 duplicate=20 reorder=3 late=4 late_by=1s..2s damage=5 queue=64
client-network delay=1ms..2ms
order priorities links step=20ms
disk latency=1ms..2ms lost=0 torn=1000000 slow=7 slow_by=9ms
clocks n0=200 n4=-300
WORKLOAD
at 1ms c0 put k1 a
at 1ms c2 put "\x00 \"\\\n\xff" ""
at 1ms c1 participant get k1
at 1ms c1 stale count ; get k1
after c0.1 c1 cas k1 a b ; get k1 ; exists "#" ; count ; delete ";"
at 12ms partition n0 c0 | n2 n3 n4 oneway for=10ms
at 13ms partition n0 | n1 | n2
when n3 sends Prepare crash n3 power
before any sends Chosen to=n1 view=3.n0 index=7 nth=2 in=5ms crash it process for=80ms
when leader receives Accepted from=n2 pause leader for=1ms
when any leads nth=2 isolate it for=9ms
when any outputs nth=100 crash all power for=1s
at 20ms crash all process
at 20ms stop leader for=5ms
at 20ms restart n1
at 20ms pause n2
at 20ms resume n2
at 20ms pause c0 for=20ms
at 20ms disconnect c1
at 20ms crash c2
at 20ms cut n0>c1
at 20ms cut n0>n1 for=1ms
at 20ms cut n0>n1 n1>n0 n2>c0 for=1ms times=3 gap=2ms
at 20ms partition n0 | n1 oneway for=1ms times=3 gap=2ms
at 20ms isolate n1 for=1ms times=20 gap=1ms
at 20ms clog n0>n1
at 20ms clog n0>n1 c2>n0 for=1ms times=2 gap=1ms
at 20ms rerank
at 20ms rot n4 body index=7 bit
at 20ms rot n4 slot whole
at 20ms rot n4 identity zero
at 20ms rot n4 body misdirected
at 20ms rot n4 snapshot unreadable
at 20ms full n1 for=30ms
at 20ms wipe n0
at 20ms fail n1 for=10ms
at 20ms skew n3 -400
at 20ms jump n3 2s
at 20ms jump leader -500us for=7ms
at 20ms jump n0 1s for=7ms times=5 gap=3ms
at 20ms slow n3 disk 40ms for=2s
at 20ms slow leader links 4ms
at 80ms heal
set delay n1>n4 Accept view=1.n0 index=7 40ms
set drop any>n2 any nth=3
set duplicate c0>any Request 1s
set sync n2 nth=9 lost
set sync n2 nth=10 40ms
set sync n2 nth=11 torn
set sync n2 nth=12 kept
run 3s
liveness core=n1,n2,n3,n4 within=5s
"##;

/// What would be too long a line there.
const CLUSTER: &str = "cluster nodes=5 quorum=fixed:2 window=1 index_exclusivity=on implicit_commit=on clients=3 \
    told=2 session_ttl=500ms client_retry=100ms client_deadline=1s heartbeat=20ms \
    election_timeout=200ms max_batch=1 max_batch_bytes=512 batch_interval=1ms explicit_commit=on \
    thrifty=on delegate=2 participant=forward participant_read=on queue_max=4 reads_max=5 \
    segment_bytes=65535 segment_records=64 seal=eager seal_idle=7ms";

const WORKLOAD: &str = "workload ops=200 keys=8 reads=10% participant=20% stale=30% deletes=0% cas=20% multi=0% \
    value=1 think=0s..20ms in_flight=64";

#[test]
fn one_of_everything_reads_back_to_the_letter() {
    let text = EVERYTHING.replace("CLUSTER", CLUSTER).replace("WORKLOAD", WORKLOAD);
    let scenario: Scenario = text.parse().unwrap();
    assert_eq!(scenario.to_string(), text);
    let others = [
        "cluster lease=100ms/500ppm\nseed 0",
        "seed 0\norder priorities nodes step=7us",
        "seed 0\norder slow-link n2>n0 40ms",
    ];
    for lines in others {
        let text = format!("ios-scenario 1\nexpect ok\n{lines}\nrun 2s\n");
        assert_eq!(text.parse::<Scenario>().unwrap().to_string(), text);
    }
}

#[test]
fn what_comes_again_is_away_for_as_long_as_it_is_there_unless_told() {
    let text = "ios-scenario 1\norder independent\nat 1ms cut n0>n1 times=3 for=5ms";
    let scenario: Scenario = text.parse().unwrap();
    assert_eq!(scenario.plan[0].to_string(), "at 1ms cut n0>n1 for=5ms times=3 gap=5ms");
    assert_eq!(scenario.order, Order::Independent);
}

#[test]
fn spaces_comments_and_spelled_out_defaults_change_nothing() {
    let spelled = "\n# A story.\nios-scenario 1 # the first\n\n  expect ok\ncluster nodes=3   quorum=majority # three\n\
                   seed 0x10\n\
                   when any leads nth=1 crash it power\nrun 2s\nliveness within=20s\n";
    let plain = "ios-scenario 1\nexpect ok\nseed 16\nwhen any leads crash it power\nrun 2s\n";
    let scenario: Scenario = spelled.parse().unwrap();
    assert_eq!(scenario.to_string(), plain);
    assert_eq!(Ok(scenario), plain.parse());
    assert_eq!("ios-scenario 1".parse(), Ok(Scenario::default()));
}

/// What is wrong with a text of these lines after the header.
#[track_caller]
fn refused(lines: &str, problem: &str) {
    let error = format!("ios-scenario 1\n{lines}").parse::<Scenario>().unwrap_err();
    assert_eq!(error.to_string(), problem);
}

#[test]
fn what_is_misspelt_is_refused_with_its_line_and_a_suggestion() {
    refused("seed 1\nclutser nodes=3", "line 3: unknown directive \"clutser\"; did you mean \"cluster\"?");
    refused("cluster nodse=3", "line 2: unknown key \"nodse\"; did you mean \"nodes\"?");
    refused(
        "cluster application=none",
        "line 2: unknown key \"application\"; there are nodes, quorum, window, index_exclusivity, \
         implicit_commit, clients, told, lease, session_ttl, client_retry, client_deadline, before_force, heartbeat, \
         election_timeout, max_batch, max_batch_bytes, batch_interval, explicit_commit, thrifty, delegate, \
         participant, participant_read, queue_max, reads_max, snapshot_interval, length, snapshot_block, \
         segment_bytes, segment_records, seal, seal_idle",
    );
    refused("at 1ms crahs n1 power", "line 2: unknown action \"crahs\"; did you mean \"crash\"?");
    refused("at 1ms crash n1 pwoer", "line 2: unknown kind of crash \"pwoer\"; did you mean \"power\"?");
    refused("when n1 sneds Prepare crash n1 power", "line 2: unknown event \"sneds\"; did you mean \"sends\"?");
    refused(
        "when n1 sends prepar crash n1 power",
        "line 2: unknown kind of message \"prepar\"; did you mean \"Prepare\"?",
    );
    refused("at 1ms clgo n0>n1", "line 2: unknown action \"clgo\"; did you mean \"clog\"?");
    refused("at 1ms cut n0>n1 tmies=4", "line 2: unknown key \"tmies\"; did you mean \"times\"?");
    refused("order prioritise links step=1ms", "line 2: unknown order \"prioritise\"; did you mean \"priorities\"?");
    refused(
        "order priorities lniks step=1ms",
        "line 2: unknown bearer of a priority \"lniks\"; did you mean \"links\"?",
    );
    refused("at 1ms c0 pu k v", "line 2: unknown verb \"pu\"; did you mean \"put\"?");
    refused("expect violation agremeent", "line 2: unknown oracle \"agremeent\"; did you mean \"agreement\"?");
    refused("set dlay n0>n1 Accept 4ms", "line 2: unknown decision \"dlay\"; did you mean \"delay\"?");
    refused(
        "frobnicate",
        "line 2: unknown directive \"frobnicate\"; there are ios-scenario, expect, cluster, seed, network, \
         client-network, order, disk, clocks, workload, at, when, before, after, set, run, liveness",
    );
}

#[test]
fn what_is_malformed_is_refused() {
    refused("cluster nodes=x", "line 2: nodes: \"x\" is not a whole number from 0 to 255");
    refused("cluster nodes=3 nodes=4", "line 2: nodes is set twice");
    refused("seed -1", "line 2: \"-1\" is not a seed: a whole number below 2^64, decimal or as 0x51c3");
    refused("seed 1\nseed 2", "line 3: a second \"seed\"; the first is in line 2");
    refused(
        "at 5 heal",
        "line 2: \"5\": a length of time is a whole number and a unit, such as 50ms; units are s, ms, us, ns",
    );
    refused("at 5ms", "line 2: the line ends where an action should stand");
    refused("at 5ms heal now", "line 2: now is one word too many");
    refused("at 5ms \"heal\"", "line 2: \"heal\" is quoted where an action should stand");
    refused("network delay=5ms..1ms", "line 2: delay: the range 5ms..1ms is upside down");
    refused("workload reads=30", "line 2: reads: \"30\" is not a share such as 30%");
    refused("at 1ms c0 put k \"v", "line 2: a quoted word does not end on its line");
    refused("at 1ms clog n0", "line 2: \"n0\" is no link, such as n0>n1");
    refused("at 1ms cut for=1ms", "line 2: \"for=1ms\" is no link, such as n0>n1");
    refused("at 1ms cut n0>n1 times=2", "line 2: what comes several times wants for=TIME: how long it lasts each time");
    refused("at 1ms isolate n0 for=1ms gap=2ms", "line 2: gap=TIME lies between several times: it wants times=K");
    refused(
        "at 1ms jump n0 +2",
        "line 2: \"+2\": a length of time is a whole number and a unit, such as 50ms; units are s, ms, us, ns",
    );
    refused(
        "order priorities links",
        "line 2: step=TIME must follow: how much later each priority is than the one above",
    );
    refused("after c0 heal", "line 2: \"c0\" names no operation of a client, such as c0.1");
    refused("when n1 sends Prepare view=3 heal", "line 2: \"3\" is no view, such as 3.n0");
    refused("set sync n1 lost", "line 2: nth=K must follow the node: which of its disk operations");
    refused("ios-scenario 1", "line 2: \"ios-scenario 1\" must be the first directive, and stand only there");
    assert_eq!(
        "seed 1".parse::<Scenario>().unwrap_err().to_string(),
        "line 1: \"ios-scenario 1\" must be the first directive, and stand only there"
    );
    assert_eq!(
        "ios-scenario 2".parse::<Scenario>().unwrap_err().to_string(),
        "line 1: format 2 is not known here; this program reads format 1"
    );
    assert_eq!(
        "# nothing".parse::<Scenario>().unwrap_err().to_string(),
        "line 1: this is no scenario: its first directive must be \"ios-scenario 1\""
    );
}

#[test]
fn what_makes_no_sense_is_refused_at_its_line() {
    refused("cluster nodes=0", "line 2: nodes=0 is not within 1 to 9");
    refused(
        "cluster nodes=5 quorum=fixed:6",
        "line 2: quorum system fixed:6 of 5 members is impossible: no replication quorum can have that many \
         members, so nothing could ever be chosen; K must be from 1 to 5",
    );
    refused("cluster heartbeat=0s", "line 2: option heartbeat: must be longer than nothing");
    refused("cluster window=0", "line 2: window 0 is not within 1 to 4096");
    refused("network drop=1000001", "line 2: drop=1000001 is above a million, and means per million");
    refused("clocks n0=1 n0=2", "line 2: the clock of n0 is set twice");
    refused("workload ops=9 deletes=60% cas=60%", "line 2: deletes and cas are above 100% together");
    refused("\nat 1ms crash n3 power", "line 3: there is no n3: the cluster has 3 nodes, counted from n0");
    refused("at 1ms c2 get k", "line 2: there is no c2: the cluster has 2 clients, counted from c0");
    refused("at 1ms crash it power", "line 2: \"it\" is the node of a triggering event, so it wants when or before");
    refused("at 3s heal", "line 2: 3s lies behind the end of the run, 2s");
    refused("at 1ms partition n0 n1", "line 2: a partition names at least two groups, as in n0 n1 | n2");
    refused("at 1ms partition n0 n1 | n1 n2", "line 2: n1 is on two sides");
    refused("at 1ms cut n0>n0", "line 2: n0 has no link to itself");
    refused("at 1ms clog n0>n1 n1>n0 n0>n1", "line 2: n0>n1 is named twice");
    refused("at 1ms cut n0>n1 for=1ms times=1", "line 2: times=1 is not within 2 to 1000");
    refused("at 1ms cut n0>n1 for=0s times=2 gap=1ms", "line 2: what comes and goes takes some time for each");
    refused("network queue=0", "line 2: queue=0 is not within 1 to 4096");
    refused("order slow-link n0>n7 1ms", "line 2: there is no n7: the cluster has 3 nodes, counted from n0");
    refused("order slow-link n0>n0 1ms", "line 2: n0 has no link to itself");
    refused(
        "at 1ms rerank",
        "line 2: there are no priorities to change: that wants \"order priorities links step=20ms\" or the like",
    );
    refused(
        "cluster lease=100ms/500ppm\nat 1ms jump n0 2s",
        "line 3: a clock that jumps is further off than any lease allows: that wants lease=off",
    );
    refused("at 1ms cut c0>c1", "line 2: clients have no links to each other, so there is no c0>c1");
    refused("when n0 leads nth=0 heal", "line 2: nth is counted from 1");
    refused(
        "when n0 sends Response to=n1 heal",
        "line 2: only messages between members have a member at the other end",
    );
    refused(
        "when n0 sends Request heal",
        "line 2: members receive Requests and send Responses, not the other way round",
    );
    refused("at 1ms wipe n0", "line 2: n0 never comes back from that: it must not be of the core (liveness core=...)");
    refused(
        "disk beyond=on",
        "line 2: with damage beyond what the protocol survives nothing has to finish: that wants \"liveness off\"",
    );
    refused("at 1ms rot n0 identity index=1 bit", "line 2: the identity has no index");
    refused("at 1ms skew n0 200000", "line 2: a clock's rate error 200000 is beyond 100000 millionths");
    refused(
        "liveness core=n0",
        "line 2: the core {n0} lacks a recovery or a replication quorum, so nothing could be asked of it",
    );
    refused("set drop n0>n9 any", "line 2: there is no n9: the cluster has 3 nodes, counted from n0");
    refused(
        "run 2h",
        "line 2: \"2h\": a length of time is a whole number and a unit, such as 50ms; units are s, ms, us, ns",
    );
    refused("run 9999s", "line 2: 9999s is longer than the longest time of a scenario, 3600s");
}

#[test]
fn a_workload_is_a_function_of_its_seed_and_within_its_bounds() {
    let workload = Workload { ops: 10, keys: 3, ..Workload::default() };
    let choose = crate::choice::Chooser::new(5);
    assert_eq!((0..3).map(|client| workload.share(client, 3)).collect::<Vec<_>>(), [4, 3, 3]);
    assert_eq!(workload.share(0, 0), 0);
    let operations: Vec<Operation> = (1..=400).map(|number| workload.operation(choose, 1, number)).collect();
    assert_eq!(operations[0], workload.operation(choose, 1, 1));
    let count =
        |test: &dyn Fn(&Verb) -> bool| operations.iter().flat_map(|op| &op.verbs).filter(|verb| test(verb)).count();
    assert!(count(&|verb| matches!(verb, Verb::Get(_))) > 50);
    assert!(count(&|verb| matches!(verb, Verb::Put(..))) > 100);
    assert!(count(&|verb| matches!(verb, Verb::Cas(..))) > 10);
    assert!(count(&|verb| matches!(verb, Verb::Delete(_))) > 5);
    assert!(operations.iter().any(|operation| operation.verbs.len() > 1));
    assert!(operations.iter().all(|operation| operation.verbs.len() <= Operation::VERBS_MAX));
}
