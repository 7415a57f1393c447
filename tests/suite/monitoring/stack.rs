//! `make stack`: the same configuration as plain processes.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::running::Stack;
use super::tools::{eventually, json, query, root, run, succeed, text, tool};

fn pids(stack: &Stack) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(stack.path("stack/run")).expect("a directory") {
        let line = text(entry.expect("an entry").path());
        found.push(line.split(' ').next().expect("a pid").parse().expect("a pid"));
    }
    found
}

fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn the_stack_comes_up_scrapes_itself_and_goes_without_a_trace() {
    let stack = Stack::shipped();
    let status = succeed(stack.script().arg("status"));
    assert_eq!(status.matches(" runs as ").count(), 5, "{status}");
    let started = pids(&stack);
    let prometheus = stack.url("PROMETHEUS_PORT");
    let up = eventually(Duration::from_secs(60), "all five are scraped", || {
        let up = query(&prometheus, "query?", "up == 1");
        (up.len() == 5).then_some(up)
    });
    for target in up {
        let instance = target["metric"]["instance"].as_str().expect("an instance");
        assert!(instance.starts_with("lab:"), "{instance} does not carry the host's name");
    }
    let managers = json(&format!("{prometheus}/api/v1/alertmanagers")).expect("an answer");
    assert_eq!(managers["data"]["activeAlertmanagers"].as_array().map(Vec::len), Some(1));
    let pushgateway = json(&format!("{}/api/v1/status", stack.url("PUSHGATEWAY_PORT"))).expect("an answer");
    let persistence = &pushgateway["data"]["flags"]["persistence.file"];
    assert_eq!(*persistence, stack.path("stack/data/pushgateway").display().to_string(), "outside of the stack");
    let flags = json(&format!("{prometheus}/api/v1/status/flags")).expect("an answer");
    assert_eq!(flags["data"]["storage.tsdb.retention.time"], "30d");
    let groups = json(&format!("{prometheus}/api/v1/rules")).expect("an answer");
    let groups = groups["data"]["groups"].as_array().expect("groups");
    for rule in groups.iter().flat_map(|group| group["rules"].as_array().expect("rules")) {
        assert_ne!(rule["health"], "err", "{rule}");
    }
    let scraped = query(&prometheus, "query?", "lab_mcp_server_health{server_name=\"rag-query\"}");
    assert_eq!(scraped[0]["metric"]["host"], "lab", "{scraped:?}");

    succeed(stack.script().arg("up"));
    assert_eq!(pids(&stack), started, "a second `up` starts nothing anew");
    succeed(stack.script().arg("down"));
    for pid in started {
        assert!(!alive(pid), "process {pid} is left");
    }
    assert!(!run(stack.script().arg("status")).0, "status says that nothing runs");
}

#[test]
fn what_a_host_pushes_is_known_under_the_same_name_as_what_it_writes() {
    let stack = Stack::hurried();
    let gateway = stack.url("PUSHGATEWAY_PORT");
    let pushed = "# TYPE thunes_kill_switch_active gauge\nthunes_kill_switch_active{environment=\"paper\"} 1\n";
    ureq::put(&format!("{gateway}/metrics/job/lab_probe/instance/lab")).send(pushed).expect("a push");
    // The switch comes by the Pushgateway, the server through node_exporter.
    stack.deliver(
        &super::synthetic::Synthetic::healthy().with("lab_mcp_server_health{server_name=\"rag-query\"}", 0.0),
        1,
    );
    let alert =
        "ALERTS{alertname=\"ThunesBlockedWithMCPFailure\",alertstate=\"firing\",environment=\"paper\",host=\"lab\"}";
    eventually(Duration::from_secs(40), "the correlation joins both ways", || {
        (!query(&stack.url("PROMETHEUS_PORT"), "query?", alert).is_empty()).then_some(())
    });
}

#[test]
fn series_that_node_exporter_drops_are_noticed() {
    let stack = Stack::hurried();
    let prometheus = stack.url("PROMETHEUS_PORT");
    eventually(Duration::from_secs(40), "the counter is scraped while nothing is dropped", || {
        let counter = "promhttp_metric_handler_errors_total{cause=\"gathering\",instance=\"lab:9100\"} == 0";
        (!query(&prometheus, "query?", counter).is_empty()).then_some(())
    });
    for file in ["one", "two"] {
        let same = "# HELP twice The same in two files.\n# TYPE twice gauge\ntwice 1\n";
        std::fs::write(stack.path(&format!("textfile/{file}.prom")), same).expect("a textfile");
    }
    let alert = "ALERTS{alertname=\"LabProbeSeriesDropped\",alertstate=\"firing\",host=\"lab\"}";
    eventually(Duration::from_secs(40), "the alert fires", || {
        (!query(&prometheus, "query?", alert).is_empty()).then_some(())
    });
}

#[test]
fn a_pid_that_is_another_process_by_now_is_left_alone() {
    let stack = Stack::shipped();
    succeed(stack.script().arg("down"));
    let mut other = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().expect("sleep starts");
    std::fs::write(stack.path("stack/run/prometheus.pid"), format!("{} 1\n", other.id())).expect("a file");
    let said = succeed(stack.script().arg("down"));
    let lives = other.try_wait().expect("a state").is_none();
    let _ = other.kill();
    let _ = other.wait();
    assert!(lives, "down ended a stranger: {said}");
}

#[test]
fn a_process_that_ended_and_was_not_reaped_is_not_waited_for() {
    let stack = Stack::shipped();
    succeed(stack.script().arg("down"));
    let mut ended = Command::new("true").spawn().expect("true starts");
    let pid = ended.id();
    let stat = eventually(Duration::from_secs(20), "it is a zombie", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.contains(") Z ").then_some(stat)
    });
    let after_name = stat.rsplit(") ").next().expect("fields");
    let started = after_name.split(' ').nth(19).expect("starttime, field 22 of proc(5)");
    let file = stack.path("stack/run/prometheus.pid");
    std::fs::write(&file, format!("{pid} {started}\n")).expect("a file");
    let (_, status) = run(stack.script().arg("status"));
    assert!(status.contains("prometheus does not run"), "{status}");
    let said = succeed(stack.script().arg("down"));
    let _ = ended.wait();
    assert!(!said.contains("prometheus ended"), "{said}");
}

#[test]
fn the_stack_ends_with_the_process_that_owns_it_however_that_ended() {
    let stack = Stack::shipped();
    let mut owner = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("sleep starts");
    succeed(stack.script().arg("up").env("STACK_OWNER", owner.id().to_string()));
    let started = pids(&stack);
    owner.kill().expect("SIGKILL");
    let all_ended = || started.iter().all(|pid| !alive(*pid)).then_some(());
    eventually(Duration::from_secs(60), "nothing of it runs", all_ended);
    let _ = owner.wait();
}

#[test]
fn a_port_that_is_taken_and_a_package_that_is_missing_are_said_plainly() {
    let stack = Stack::shipped();
    succeed(stack.script().arg("down"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (ok, said) = run(stack.script().arg("up").env("PROMETHEUS_PORT", port.to_string()));
    assert!(!ok && said.contains(&format!("port {port} for prometheus is taken")), "{said}");

    let empty = tempfile::tempdir().expect("a directory");
    for command in ["bash", "dirname", "env"] {
        let real = succeed(tool("sh").args(["-c", &format!("command -v {command}")]));
        std::os::unix::fs::symlink(real.trim(), empty.path().join(command)).expect("a link");
    }
    let (ok, said) = run(stack.script().arg("up").env("PATH", empty.path()));
    assert!(
        !ok && said.contains("apt-get install --no-install-recommends prometheus prometheus-alertmanager"),
        "{said}"
    );
}

#[test]
fn make_has_a_target_to_start_and_one_to_end_the_stack() {
    for (target, verb) in [("stack", "up"), ("stack-down", "down")] {
        let said = succeed(tool("make").current_dir(root()).args(["--no-print-directory", "-n", target]));
        assert_eq!(said.trim(), format!("monitoring/stack/stack.sh {verb}"));
    }
}
