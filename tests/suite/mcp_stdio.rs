//! Servers on standard streams: every good, odd and hostile one gets the verdict it deserves, in time, and none of
//! their processes is left.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lab_probe::check::mcp::check;
use lab_probe::clock::{self, Deadline};
use lab_probe::model::mcp::{Era, HealthScript, McpFacts, McpMemory, McpTarget, McpVerdict, Reach, StdioServer};
use lab_probe::model::observation::NotReached;
use lab_probe::model::reason::{Failure, Reason};
use lab_probe::proc::Permits;
use lab_probe::redact::Secret;

use crate::harness::player::{marked_processes, player};
use crate::harness::{context, install_script, queued};

/// Marks the processes of one check.
const MARK: &str = "PLAYER_MARK";

/// One check of one server in an environment of its own.
struct Case {
    server: StdioServer,
    list_tools: bool,
    memory: McpMemory,
    timeout: Duration,
    mark: String,
}

impl Case {
    fn new(command: impl Into<String>) -> Case {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Case {
            server: StdioServer {
                command: command.into(),
                args: Vec::new(),
                env: BTreeMap::from([(MARK.to_owned(), Secret::new(mark.clone()))]),
                cwd: None,
            },
            list_tools: true,
            memory: McpMemory::default(),
            timeout: Duration::from_secs(20),
            mark,
        }
    }

    fn act(act: &str) -> Case {
        let mut case = Case::new(player().to_str().expect("a path"));
        case.server.args = vec![Secret::new(act)];
        case
    }

    fn remembering(mut self, era: Era) -> Case {
        self.memory.era = Some(era);
        self
    }

    fn within(mut self, timeout: Duration) -> Case {
        self.timeout = timeout;
        self
    }

    /// Runs the check; whatever it finds, it is over in time and no process is left.
    fn run(self) -> (McpFacts, McpMemory) {
        let pass = Deadline::after(self.timeout + Duration::from_secs(60));
        let context = context(self.timeout, pass);
        let target = McpTarget { reach: Reach::Stdio(self.server), list_tools: self.list_tools };
        let begun = clock::instant();
        let (facts, memory) = check(&target, self.memory, &context).expect("started");
        let took = clock::instant() - begun;
        assert!(took < self.timeout + Duration::from_secs(4), "took {took:?}: {facts:?}");
        assert_eq!(marked_processes(MARK, &self.mark), Vec::<String>::new(), "left by {facts:?}");
        (facts, memory)
    }
}

/// Plays acts at the same time, four at most: the machine may have few cores, and a check's time is running.
fn play<const N: usize>(acts: [&'static str; N], timeout: u64) -> Vec<(&'static str, McpFacts)> {
    let mut played = Vec::new();
    for few in acts.chunks(4) {
        let checks: Vec<_> = few
            .iter()
            .map(|&act| std::thread::spawn(move || (act, Case::act(act).within(Duration::from_secs(timeout)).run().0)))
            .collect();
        played.extend(checks.into_iter().map(|check| check.join().expect("no panic")));
    }
    played
}

/// Fails with everything known unless the check came out as expected.
#[track_caller]
fn expect(facts: &McpFacts, reason: Option<Reason>) {
    assert_eq!(facts.failure.as_ref().map(|f| f.reason), reason, "{facts:#?}");
}

#[track_caller]
fn detail(facts: &McpFacts) -> &str {
    facts.failure.as_ref().map(|f| f.detail.as_str()).expect("a failure")
}

#[test]
fn servers_of_both_eras_are_up_and_say_who_they_are() {
    let (facts, memory) = Case::act("modern").run();
    expect(&facts, None);
    assert_eq!((facts.era, facts.tools), (Some(Era::Modern), Some(3)));
    assert_eq!(facts.protocol_version.as_deref(), Some("2026-07-28"));
    assert_eq!((facts.server_name.as_deref(), facts.server_version.as_deref()), (Some("player"), Some("2.0")));
    assert_eq!(memory.era, Some(Era::Modern));
    let (facts, memory) = Case::act("legacy").run();
    expect(&facts, None);
    assert_eq!((facts.era, facts.tools, memory.era), (Some(Era::Legacy), Some(2), Some(Era::Legacy)));
    assert!(facts.tools_digest.is_some() && facts.tools_digest == memory.tools_digest);
    assert!(facts.handshake.is_some_and(|h| h > Duration::ZERO), "{facts:?}");
    assert!(facts.cpu.is_some() && facts.max_rss_bytes.is_some_and(|b| b > 500_000), "{facts:?}");
}

#[test]
fn a_server_that_serves_both_eras_counts_as_modern() {
    let (facts, _) = Case::act("dual").run();
    expect(&facts, None);
    assert_eq!(facts.era, Some(Era::Modern));
}

#[test]
fn a_server_that_discovers_only_legacy_versions_is_opened_with_initialize() {
    let (facts, memory) = Case::act("only-legacy-version-discovered").run();
    expect(&facts, None);
    assert_eq!((facts.era, facts.tools, memory.era), (Some(Era::Legacy), Some(2), Some(Era::Legacy)));
}

#[test]
fn a_server_that_supports_only_other_versions_is_asked_again_in_one_of_them() {
    let (facts, _) = Case::act("another-modern-version").run();
    expect(&facts, None);
    assert_eq!((facts.era, facts.protocol_version.as_deref()), (Some(Era::Modern), Some("2027-03-01")));
    let (facts, _) = Case::act("only-legacy-version-listed").run();
    expect(&facts, None);
    assert_eq!(facts.era, Some(Era::Legacy));
    let (facts, _) = Case::act("only-legacy-version-opens").remembering(Era::Legacy).run();
    expect(&facts, None);
    let (facts, _) = Case::act("refuses-its-own-version-once").run();
    expect(&facts, None);
    assert_eq!(facts.era, Some(Era::Modern));
    let (facts, _) = Case::act("never-the-right-version").run();
    expect(&facts, Some(Reason::RpcError));
}

#[test]
fn any_other_answer_to_the_modern_opening_and_silence_and_the_end_of_the_process_mean_legacy() {
    for act in ["discover-answered-with-nonsense", "silent-on-unknown", "dies-on-unknown"] {
        let (facts, memory) = Case::act(act).run();
        expect(&facts, None);
        assert_eq!((facts.era, memory.era), (Some(Era::Legacy), Some(Era::Legacy)), "{act}");
    }
}

#[test]
fn a_server_that_an_unknown_request_hangs_is_started_anew_once() {
    let (facts, memory) = Case::act("lost-to-unknown").run();
    expect(&facts, None);
    assert_eq!((facts.tools, memory.era), (Some(2), Some(Era::Legacy)));
    // What answers nothing at all is opened the usual way next time, and not started twice again.
    let (facts, memory) = Case::act("deaf").within(Duration::from_secs(2)).run();
    expect(&facts, Some(Reason::Timeout));
    assert_eq!(memory.era, Some(Era::Legacy));
}

#[test]
fn a_server_that_ends_before_it_reads_the_opening_is_not_started_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let starts = directory.path().join("starts");
    let run = |act: &str| {
        let _ = std::fs::remove_file(&starts);
        let mut case = Case::act(act).within(Duration::from_secs(3));
        case.server.env.insert("PLAYER_STARTS".into(), Secret::new(starts.to_str().expect("a path")));
        let facts = case.run().0;
        expect(&facts, Some(Reason::Exited));
        (detail(&facts).to_owned(), std::fs::read(&starts).expect("starts").len())
    };
    let (said, starts_of) = run("gives-up-unread");
    assert!(said.starts_with("ended with exit code 1") && said.contains("“Fatal: connect ECONNREFUSED"), "{said}");
    assert_eq!(starts_of, 1);
    // Where the second attempt brings nothing new, the first one tells why.
    let (said, starts_of) = run("reads-and-gives-up-once");
    assert!(said.starts_with("ended with exit code 4") && said.contains("“Fatal: the first words”"), "{said}");
    assert_eq!(starts_of, 2);
}

#[test]
fn a_remembered_era_spares_the_detour_and_one_that_fails_is_found_out_anew() {
    // It would die on the other opening, and answer only in a second process.
    let (facts, _) = Case::act("dies-on-unknown").remembering(Era::Legacy).run();
    expect(&facts, None);
    for (act, wrong, right) in [
        ("modern", Era::Legacy, Era::Modern),
        ("legacy", Era::Modern, Era::Legacy),
        ("dies-on-unknown", Era::Modern, Era::Legacy),
    ] {
        let (facts, memory) = Case::act(act).remembering(wrong).run();
        expect(&facts, None);
        assert_eq!(memory.era, Some(right), "{act}");
    }
}

#[test]
fn banners_chatter_and_the_servers_own_requests_do_not_matter() {
    let (facts, _) = Case::act("banner").run();
    expect(&facts, None);
    assert_eq!(facts.noise_lines, 6, "{facts:?}");
    assert_eq!(facts.notes, ["prints 6 lines on stdout that are no JSON-RPC"]);
    for act in [
        "asks-first", "chatty", "floods-stderr", "byte-by-byte", "carriage-returns", "float-id", "text-id",
        "starts-slowly",
    ] {
        let (facts, _) = Case::act(act).run();
        expect(&facts, None);
        assert_eq!((facts.tools, facts.noise_lines), (Some(2), 0), "{act}");
    }
}

#[test]
fn tools_are_counted_over_all_pages_and_pages_that_fail_or_never_end_do_not_make_it_down() {
    for (act, tools, truncated) in [
        ("deep-schemas", 8, false),
        ("three-pages", 4, false),
        ("large-list", 60_000, false),
        ("endless-pages", 100, true),
        ("repeating-cursor", 2, false),
        ("second-page-fails", 1, true),
        ("second-page-silent", 1, true),
    ] {
        let (facts, _) = Case::act(act).run();
        expect(&facts, None);
        assert_eq!((facts.tools, facts.tools_truncated), (Some(tools), truncated), "{act}");
    }
}

#[test]
fn tools_are_asked_for_only_where_they_are_declared_and_wanted() {
    let (facts, _) = Case::act("no-tools").run();
    expect(&facts, None);
    assert_eq!((facts.tools, facts.protocol_version.as_deref()), (None, Some("2024-11-05")));
    let (facts, _) = Case { list_tools: false, ..Case::act("list-refused") }.run();
    expect(&facts, None);
    assert_eq!(facts.tools, None);
}

#[test]
fn silence_in_every_form_is_a_timeout() {
    let silent = [
        "silent", "deaf", "half-a-line", "drips", "lists-silently", "wrong-id", "other-text-id", "stops-itself",
        "closes-stdin",
    ];
    for (act, facts) in play(silent, 3) {
        assert_eq!(facts.failure.as_ref().map(|f| f.reason), Some(Reason::Timeout), "{act}: {facts:?}");
    }
}

#[test]
fn what_is_no_valid_mcp_is_a_protocol_error() {
    let wrong = [
        "result-is-text", "result-is-empty", "result-is-null", "result-and-error", "neither-result-nor-error",
        "no-version", "invalid-utf-8", "deep", "deep-and-open", "cut-json", "unknown-version", "wrong-types", "echo",
        "list-is-no-list", "list-of-numbers", "tool-without-schema", "list-wants-input", "closes-stdout",
        "closes-everything",
    ];
    for (act, facts) in play(wrong, 6) {
        assert_eq!(facts.failure.as_ref().map(|f| f.reason), Some(Reason::ProtocolError), "{act}: {facts:?}");
    }
}

#[test]
fn what_the_official_sdks_refuse_is_a_protocol_error_that_names_it() {
    for (act, said) in [
        ("schema-without-type", "tools/list: the result is invalid: tool “bad”: inputSchema: missing field `type`"),
        ("description-is-null", "tool 1 of the list: description: invalid type: null, expected a string"),
        ("cursor-is-null", "nextCursor: invalid type: null, expected a string"),
        ("tools-are-null", "initialize: the result is invalid: capabilities.tools: invalid type: null"),
        ("modern-list-without-ttl", "missing field `ttlMs`"),
        ("invalid-discovery", "server/discover: the result is invalid: capabilities.tools: invalid type: null"),
        ("glued", "the answer to server/discover is no valid JSON-RPC: it stands behind other text on its line"),
        ("pretty", "it is spread over several lines"),
    ] {
        let (facts, _) = Case::act(act).run();
        expect(&facts, Some(Reason::ProtocolError));
        assert!(detail(&facts).contains(said), "{act}: {}", detail(&facts));
    }
    let (facts, _) = Case::act("glued").remembering(Era::Legacy).run();
    expect(&facts, Some(Reason::ProtocolError));
}

#[test]
fn an_error_that_follows_a_notification_is_not_the_answer_to_the_next_request() {
    let (facts, _) = Case::act("answers-notifications").run();
    expect(&facts, None);
    assert_eq!(
        (facts.tools, &facts.notes[..]),
        (Some(2), &["answers a notification; some clients drop it".to_owned()][..])
    );
}

#[test]
fn a_refusal_is_an_rpc_error_with_code_and_message() {
    for (act, said) in [
        ("refuses", "initialize: JSON-RPC error -32603: “no backend”"),
        (
            "refuses-without-id",
            "server/discover and initialize: JSON-RPC error -32700: “parse error” (for no request in particular)",
        ),
        ("malformed-error", "initialize: JSON-RPC error 0: “(malformed) \"no\"”"),
        ("wants-a-capability", "server/discover: JSON-RPC error -32021: “needs sampling”"),
        ("list-refused", "tools/list: JSON-RPC error -32603: “token expired”"),
    ] {
        let (facts, _) = Case::act(act).run();
        expect(&facts, Some(Reason::RpcError));
        assert_eq!(detail(&facts), said);
    }
}

#[test]
fn an_end_at_any_stage_is_told_with_exit_code_and_last_words() {
    for (act, said) in [
        ("exits-at-once", "exit code 0 before it had answered server/discover"),
        (
            "exits-with-a-reason",
            "exit code 1 before it had answered server/discover; stderr: “Error: API_TOKEN is not set",
        ),
        ("exits-on-the-opening", "exit code 7 before"),
        ("exits-after-the-opening", "exit code 8 before it had answered tools/list"),
        ("exits-on-the-list", "exit code 9 before it had answered tools/list"),
        ("aborts", "SIGABRT before"),
        ("kills-its-group", "SIGKILL before"),
        ("wrapper-that-fails", "exit code 5 before"),
    ] {
        let (facts, _) = Case::act(act).run();
        expect(&facts, Some(Reason::Exited));
        assert!(detail(&facts).contains(said), "{act}: {}", detail(&facts));
    }
}

#[test]
fn floods_end_at_the_limits() {
    let floods = [
        "floods-lines", "floods-without-lines", "floods-notifications", "floods-requests", "floods-answers",
        "floods-both", "long-line", "too-long-an-answer",
    ];
    // An unoptimised build reads 64 MiB of JSON slowly.
    for (act, facts) in play(floods, 120) {
        assert_eq!(facts.failure.as_ref().map(|f| f.reason), Some(Reason::TooLarge), "{act}: {facts:?}");
    }
}

#[test]
fn a_server_may_live_in_a_grandchild_or_have_children_and_all_of_them_end() {
    let families = [
        "wrapper", "wrapper-that-leaves", "daemonizes-itself", "daemonizes-a-helper", "leaves-a-helper",
        "many-children", "forks-and-forks", "zombies", "ends-late", "lives-on",
    ];
    for (act, facts) in play(families, 20) {
        assert_eq!((facts.verdict(), facts.tools), (McpVerdict::Up, Some(2)), "{act}: {facts:?}");
    }
}

#[test]
fn a_server_that_ignores_sigterm_is_up_and_it_is_noted_that_it_had_to_be_killed() {
    let (facts, _) = Case::act("ignores-everything").run();
    expect(&facts, None);
    assert_eq!(facts.notes, ["ignored SIGTERM and was killed"]);
    let (facts, _) = Case::act("legacy").run();
    assert_eq!(facts.notes, Vec::<String>::new());
}

/// The parent of a vfork(2) waits uninterruptibly (state D) until its child has ended.
#[test]
fn a_server_that_waits_in_the_kernel_is_idle_and_is_ended_with_its_child() {
    let mut case = Case::new("python3").within(Duration::from_secs(3));
    let waits = "import ctypes, time; ctypes.CDLL(None).vfork() or time.sleep(600)";
    case.server.args = vec![Secret::new("-c"), Secret::new(waits)];
    let (facts, _) = case.run();
    expect(&facts, Some(Reason::Timeout));
    assert!(detail(&facts).contains("idle for"), "{}", detail(&facts));
}

#[test]
fn a_server_that_stops_its_supervisor_is_still_checked_and_ended() {
    let (facts, _) = Case::act("stops-its-parent").run();
    expect(&facts, None);
}

#[test]
fn a_program_sees_little_of_the_probe() {
    let mut case = Case::act("tells-its-environment");
    let directory = tempfile::tempdir().expect("a directory");
    case.server.cwd = Some(directory.path().to_owned());
    case.server.env.insert("ADDED".into(), Secret::new("value-of-added"));
    let (facts, _) = case.run();
    expect(&facts, Some(Reason::Exited));
    let said = detail(&facts);
    let names = said.split("env ").nth(1).and_then(|rest| rest.split(' ').next()).expect("names");
    let mut allowed = vec!["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER", "ADDED", MARK];
    let names: Vec<&str> = names.split(',').collect();
    assert!(names.iter().all(|name| allowed.contains(name)), "{names:?}");
    allowed.retain(|name| ["PATH", "ADDED", MARK].contains(name));
    assert!(allowed.iter().all(|name| names.contains(name)), "{names:?}");
    let real = directory.path().canonicalize().expect("a path");
    assert!(said.contains(&format!("cwd {}", real.display())), "{said}");
    // Three streams, and the directory it was counting in.
    assert!(said.contains("leads its group: true; open files: 4"), "{said}");
}

#[test]
fn a_program_finds_no_signal_blocked_or_ignored() {
    // Rust ignores SIGPIPE in this process, so something would be inherited.
    let mut case = Case::new("sh");
    case.server.args = ["-c", "grep -E 'Sig(Blk|Ign)' /proc/self/status >&2; exit 1"].map(Secret::new).to_vec();
    let (facts, _) = case.run();
    let masks: Vec<u64> = detail(&facts)
        .split_whitespace()
        .map(|word| word.trim_matches(['“', '”']))
        .filter(|word| word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit()))
        .map(|mask| u64::from_str_radix(mask, 16).expect("a mask"))
        .collect();
    assert_eq!(masks.len(), 2, "{facts:?}");
    // Signals 32 and 33 are the C library's own.
    let ordinary = !(0b11 << 31);
    assert!(masks.iter().all(|mask| mask & ordinary == 0), "{facts:?}");
}

#[test]
fn a_program_that_cannot_be_started_is_told_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str, mode: u32| {
        let path = directory.path().join(name);
        install_script(text, &path);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode set");
        path.to_str().expect("a path").to_owned()
    };
    let missing = Case::new("no-such-server");
    let (facts, _) = missing.run();
    expect(&facts, Some(Reason::CommandNotFound));
    assert!(detail(&facts).contains("on PATH /"), "{}", detail(&facts));
    let (facts, _) = Case::new("/nowhere/server").run();
    expect(&facts, Some(Reason::CommandNotFound));
    let (facts, _) = Case::new("python3 -m server").run();
    expect(&facts, Some(Reason::CommandNotFound));
    assert!(facts.failure.as_ref().is_some_and(|f| f.hint().contains("`args`")), "{facts:?}");
    let (facts, _) = Case::new(file("plain", "text", 0o644)).run();
    expect(&facts, Some(Reason::SpawnFailed));
    let (facts, _) = Case::new(directory.path().to_str().expect("a path")).run();
    expect(&facts, Some(Reason::SpawnFailed));
    let (facts, _) = Case::new(file("script", "#!/nowhere/interpreter\n", 0o755)).run();
    expect(&facts, Some(Reason::SpawnFailed));
    assert!(detail(&facts).contains("interpreter \"/nowhere/interpreter\""), "{}", detail(&facts));
    let mut elsewhere = Case::act("legacy");
    elsewhere.server.cwd = Some(PathBuf::from("/nowhere"));
    let (facts, _) = elsewhere.run();
    expect(&facts, Some(Reason::SpawnFailed));
    assert!(detail(&facts).contains("working directory /nowhere"), "{}", detail(&facts));
}

#[test]
fn the_hint_of_a_server_that_cannot_be_started_fits_what_is_in_the_way() {
    let directory = tempfile::tempdir().expect("a directory");
    let hint = |case: Case| case.run().0.failure.map(|failure| failure.hint().to_owned()).unwrap_or_default();
    let of_directory = hint(Case::new(directory.path().to_str().expect("a path")));
    assert!(of_directory.contains("not the directory"), "{of_directory}");
    let mut in_a_file = Case::act("legacy");
    in_a_file.server.cwd = Some(PathBuf::from("/etc/passwd"));
    assert_eq!(hint(in_a_file), "correct `cwd`: /etc/passwd is no directory");
    let script = directory.path().join("script");
    install_script("#!/bin/sh\r\nexit 0\r\n", &script);
    let (facts, _) = Case::new(script.to_str().expect("a path")).run();
    expect(&facts, Some(Reason::SpawnFailed));
    assert!(detail(&facts).contains("a carriage return"), "{}", detail(&facts));
    let interpreter = directory.path().join("interpreter");
    for (text, said) in [(None, "does not exist"), (Some("#!/bin/sh\n"), "may not be executed")] {
        text.into_iter().for_each(|text| std::fs::write(&interpreter, text).expect("written"));
        install_script(&format!("#!{}\n", interpreter.display()), &script);
        let (facts, _) = Case::new(script.to_str().expect("a path")).run();
        expect(&facts, Some(Reason::SpawnFailed));
        assert!(detail(&facts).contains(&format!("its interpreter {interpreter:?} {said}")), "{}", detail(&facts));
        let hint = facts.failure.as_ref().map(|failure| failure.hint().to_owned()).unwrap_or_default();
        assert_eq!(hint, format!("install that interpreter, or correct the first line of {}", script.display()));
    }
}

#[test]
fn a_relative_command_is_relative_to_its_directory_and_the_targets_own_path_counts() {
    let directory = player().parent().expect("a directory");
    let mut relative = Case::act("legacy");
    relative.server.command = "./player".into();
    relative.server.cwd = Some(directory.to_owned());
    expect(&relative.run().0, None);
    let mut by_path = Case::act("legacy");
    by_path.server.command = "player".into();
    by_path.server.env.insert("PATH".into(), Secret::new(directory.to_str().expect("a path")));
    expect(&by_path.run().0, None);
}

#[test]
fn what_a_server_prints_is_quoted_without_the_secrets_it_was_given() {
    let mut case = Case::new("sh");
    let script = "echo \"bad token $TOKEN and $1\" >&2; printf '\\033[2J<0>forged' >&2; exit 1";
    case.server.args = ["-c", script, "sh", "--api-key=canary-in-argument"].map(Secret::new).to_vec();
    case.server.env.insert("TOKEN".into(), Secret::new("canary-in-environment"));
    let (facts, _) = case.run();
    expect(&facts, Some(Reason::Exited));
    assert!(detail(&facts).contains("bad token *** and --api-key=***"), "{}", detail(&facts));
    assert!(!detail(&facts).contains('\x1b') && !detail(&facts).contains("canary"), "{}", detail(&facts));
}

#[test]
fn hostile_words_steer_no_terminal_and_stay_inside_their_quotation() {
    let (facts, _) = Case::act("hostile-words").run();
    expect(&facts, Some(Reason::RpcError));
    let said = [facts.server_name.as_deref(), facts.server_version.as_deref(), Some(detail(&facts))];
    for text in said.map(|text| text.expect("a text")) {
        let steers = |c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}');
        assert!(!text.contains(steers) && text.contains("\\u{202e}"), "{text:?}");
    }
    let own = "tools/list: JSON-RPC error -32000: “";
    let quoted = detail(&facts).strip_prefix(own).and_then(|rest| rest.strip_suffix('”'));
    assert!(quoted.is_some_and(|quoted| quoted.contains("OBEY") && !quoted.contains(['“', '”'])), "{}", detail(&facts));
}

#[test]
fn a_health_script_is_judged_by_its_exit_code() {
    let run = |script: &str, timeout: u64| {
        let script =
            HealthScript { command: ["sh", "-c", script].map(Secret::new).to_vec(), env: BTreeMap::new(), cwd: None };
        let target = McpTarget { reach: Reach::Script(script), list_tools: true };
        let pass = Deadline::after(Duration::from_secs(60));
        let context = context(Duration::from_secs(timeout), pass);
        check(&target, McpMemory::default(), &context).expect("started").0
    };
    expect(&run("exit 0", 20), None);
    let facts = run("echo 'backend away'; exit 1", 20);
    expect(&facts, Some(Reason::ScriptFailed));
    assert_eq!(detail(&facts), "the script says down: “backend away”");
    let facts = run("exit 2", 20);
    expect(&facts, Some(Reason::NotConfigured));
    let hint = facts.failure.as_ref().map(Failure::hint).unwrap_or_default();
    assert!(hint.contains("the script"), "{hint}");
    let facts = run("echo out; echo why >&2; exit 3", 20);
    expect(&facts, Some(Reason::ScriptFailed));
    assert_eq!(detail(&facts), "the script ended with exit code 3: “why”");
    expect(&run("kill -SEGV $$", 20), Some(Reason::ScriptFailed));
    expect(&run("sleep 300 & wait", 1), Some(Reason::Timeout));
    expect(&run("yes", 20), Some(Reason::TooLarge));
    // Much output is no verdict, and of it the end is quoted.
    let wordy = "i=0; while [ $i -lt 40 ]; do printf '%0100000d\\n' 0; i=$((i+1)); done;";
    expect(&run(&format!("{wordy} exit 0"), 20), None);
    let facts = run(&format!("{wordy} echo at last; exit 1"), 20);
    expect(&facts, Some(Reason::ScriptFailed));
    assert!(detail(&facts).ends_with("at last”"), "{}", detail(&facts));
    // A background process that keeps the pipes does not hold the verdict up.
    expect(&run("sleep 300 & exit 0", 20), None);
}

#[test]
fn two_servers_that_hang_do_not_keep_the_permits_of_the_others() {
    let permits = Permits::new(1);
    let pass = Deadline::after(Duration::from_secs(30));
    let start = |act: &'static str| {
        let context = queued(Duration::from_secs(8), pass, &permits);
        std::thread::spawn(move || {
            let target = McpTarget { reach: Reach::Stdio(Case::act(act).server), list_tools: true };
            let begun = clock::instant();
            let facts = check(&target, McpMemory::default(), &context).expect("started").0;
            (facts, clock::instant() - begun)
        })
    };
    let hanging = ["deaf", "silent"].map(start);
    let (facts, took) = start("legacy").join().expect("no panic");
    expect(&facts, None);
    // With one permit, behind two that hang for eight seconds each.
    assert!(took < Duration::from_secs(8), "{took:?}");
    for check in hanging {
        let facts = check.join().expect("no panic").0;
        expect(&facts, Some(Reason::Timeout));
        assert!(detail(&facts).contains("idle"), "{}", detail(&facts));
    }
}

#[test]
fn a_check_whose_turn_does_not_come_in_time_is_not_started() {
    let permits = Permits::new(1);
    let _taken = permits.overdraft();
    let context = queued(Duration::from_secs(5), Deadline::after(Duration::from_millis(200)), &permits);
    let target = McpTarget { reach: Reach::Stdio(Case::act("legacy").server), list_tools: true };
    assert_eq!(check(&target, McpMemory::default(), &context), Err(NotReached::NotBegun));
}

/// A server that computes for so many seconds of processor time before it answers.
fn busy(seconds: f64) -> McpTarget {
    let script = format!(
        "import sys, json, time\n\
         while time.process_time() < {seconds}: pass\n\
         for line in sys.stdin:\n\
         \x20 m = json.loads(line)\n\
         \x20 if m.get('method') != 'initialize': continue\n\
         \x20 info = dict(protocolVersion='2025-06-18', capabilities={{}}, serverInfo=dict(name='b', version='1'))\n\
         \x20 print(json.dumps(dict(jsonrpc='2.0', id=m['id'], result=info)), flush=True)\n"
    );
    let args = ["-c", &script].map(Secret::new).to_vec();
    let server = StdioServer { command: "python3".into(), args, ..StdioServer::default() };
    McpTarget { reach: Reach::Stdio(server), list_tools: true }
}

#[test]
fn a_servers_clock_stands_still_while_it_computes() {
    let context = context(Duration::from_secs(1), Deadline::after(Duration::from_secs(120)));
    let (facts, _) = check(&busy(2.5), McpMemory::default(), &context).expect("a verdict");
    expect(&facts, None);
}

#[test]
fn one_that_is_cut_off_before_it_had_its_own_time_is_not_down() {
    let context = context(Duration::from_secs(60), Deadline::after(Duration::from_secs(2)));
    let target = McpTarget { reach: Reach::Stdio(Case::act("silent").server), list_tools: true };
    let outcome = check(&target, McpMemory::default(), &context);
    assert!(matches!(outcome, Err(NotReached::CutOff(_))), "{outcome:?}");
}

#[test]
fn one_that_computes_for_a_whole_pass_is_down_or_was_kept_from_it_by_others() {
    let context = context(Duration::from_secs(1), Deadline::after(Duration::from_secs(4)));
    match check(&busy(1e9), McpMemory::default(), &context) {
        Ok((facts, _)) => {
            expect(&facts, Some(Reason::Timeout));
            assert!(detail(&facts).contains("still computing"), "{}", detail(&facts));
        }
        // Tests run in parallel: it may have had less than a core.
        Err(why) => assert!(matches!(why, NotReached::CutOff(_)), "{why:?}"),
    }
}
