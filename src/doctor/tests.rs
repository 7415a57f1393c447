use super::prometheus::OurPass;
use super::service::Trouble;
use super::*;
use crate::model::checkup::{Link, Status};
use crate::redact::Secret;

fn absent<T>() -> Reply<T> {
    Reply {
        origin: "http://127.0.0.1:1".into(),
        configured: false,
        result: Err((Trouble::NotListening, "refused".into())),
    }
}

/// A machine on which nothing of the stack is.
fn laptop() -> Evidence {
    Evidence {
        now: 1000.0,
        delivered: Delivered { last_pass: Some(990.0), fallback: true, ..Delivered::default() },
        starter: Starter { unit: None, units: Vec::new(), user: None },
        cron: None,
        node_exporter: absent(),
        pushgateway: None,
        prometheus: absent(),
        alertmanager: absent(),
        grafana: absent(),
    }
}

fn statuses(evidence: &Evidence, link: Link) -> Vec<Status> {
    judge(evidence).into_iter().filter(|finding| finding.link == link).map(|finding| finding.status).collect()
}

fn prometheus(passes: &[(&str, f64)]) -> Reply<Prometheus> {
    with_passes(passes.iter().map(|(instance, at)| OurPass { names: [String::new(), (*instance).into()], at: *at }))
}

fn with_passes(passes: impl Iterator<Item = OurPass>) -> Reply<Prometheus> {
    let mut facts = Prometheus::default();
    (facts.groups, facts.passes) = (Some(Vec::new()), passes.collect());
    Reply { result: Ok(facts), ..absent() }
}

#[test]
fn hosts_without_a_host_label_are_told_of_beside_those_with_one() {
    let warned = |hosts: &[&str]| {
        let pass = |host: &&str| OurPass { names: [(*host).into(), "lab:9100".into()], at: 985.0 };
        let evidence = Evidence { prometheus: with_passes(hosts.iter().map(pass)), ..laptop() };
        judge(&evidence).iter().any(|finding| finding.evidence.contains("have no host label"))
    };
    assert_eq!([&["a", ""][..], &["a", "b"], &["", ""], &[]].map(warned), [true, false, false, false]);
}

#[test]
fn a_laptop_without_any_of_it_has_nothing_broken() {
    let findings = judge(&laptop());
    assert!(findings.iter().all(|finding| finding.status != Status::Fail), "{findings:#?}");
    for link in
        [Link::NodeExporter, Link::Pushgateway, Link::Prometheus, Link::Rules, Link::Alertmanager, Link::Grafana]
    {
        assert_eq!(statuses(&laptop(), link), [Status::Skip], "{link:?}");
    }
}

#[test]
fn what_is_configured_or_leaned_on_must_be_there() {
    let mut evidence = laptop();
    evidence.prometheus.configured = true;
    assert_eq!(statuses(&evidence, Link::Prometheus), [Status::Fail]);
    let mut evidence = laptop();
    evidence.alertmanager.result = Ok(Alertmanager::default());
    assert_eq!(statuses(&evidence, Link::Prometheus), [Status::Fail], "an Alertmanager without one");
    let mut evidence = laptop();
    evidence.prometheus = prometheus(&[("lab:9100", 985.0)]);
    let Ok(facts) = &mut evidence.prometheus.result else { unreachable!() };
    facts.alertmanagers = vec!["http://127.0.0.1:9093/api/v2/alerts".into()];
    assert_eq!(statuses(&evidence, Link::Alertmanager), [Status::Fail], "one that Prometheus sends to");
}

#[test]
fn the_newest_pass_that_counts_is_this_machines() {
    let freshness = |passes: &[(&str, f64)], last_pass: Option<f64>| {
        let mut evidence = laptop();
        evidence.delivered.last_pass = last_pass;
        evidence.delivered.passes = vec![600.0, 960.5, 985.0];
        evidence.prometheus = prometheus(passes);
        *statuses(&evidence, Link::Prometheus).last().expect("a finding")
    };
    assert_eq!(freshness(&[("lab:9100", 985.0)], Some(990.0)), Status::Ok);
    assert_eq!(freshness(&[("lab:9100", 600.0), ("other:9100", 990.0)], Some(990.0)), Status::Fail, "behind");
    assert_eq!(freshness(&[("lab:9100", 601.0), ("other", 989.0)], Some(990.0)), Status::Fail, "others' alone");
    assert_eq!(freshness(&[("localhost:9100", 960.5)], Some(990.0)), Status::Ok, "known by its time");
    assert_eq!(freshness(&[("lab", 600.0)], Some(600.0)), Status::Fail, "all is old");
    assert_eq!(freshness(&[], Some(990.0)), Status::Fail);
    assert_eq!(freshness(&[], None), Status::Warn);
}

#[test]
fn rules_that_are_not_loaded_are_a_gap_only_where_alerts_would_reach_somebody() {
    let mut evidence = laptop();
    evidence.prometheus = prometheus(&[("lab", 990.0)]);
    assert_eq!(statuses(&evidence, Link::Rules), [Status::Warn, Status::Warn]);
    evidence.alertmanager.result = Ok(Alertmanager::default());
    assert_eq!(statuses(&evidence, Link::Rules), [Status::Fail, Status::Fail]);
}

#[test]
fn clocks_apart_are_told_with_what_the_question_took() {
    let clock = |skew: Option<(f64, f64)>| {
        let mut evidence = laptop();
        evidence.prometheus = prometheus(&[]);
        let Ok(facts) = &mut evidence.prometheus.result else { unreachable!() };
        facts.skew = skew;
        statuses(&evidence, Link::Clock)
    };
    assert_eq!(clock(Some((0.2, 0.1))), [Status::Ok]);
    assert_eq!(clock(Some((-5.0, 0.1))), [Status::Warn]);
    assert_eq!(clock(Some((5.0, 4.0))), [Status::Ok], "a slow answer says little");
    assert_eq!(clock(Some((-90.0, 0.1))), [Status::Fail]);
    assert_eq!(clock(None), [Status::Skip]);
}

#[test]
fn a_pushed_group_is_judged_by_its_age_and_its_last_refusal() {
    use crate::model::checkup::PushedGroup;
    let pushed = |seen: PushgatewaySeen| {
        let evidence = Evidence { pushgateway: Some(seen), ..laptop() };
        statuses(&evidence, Link::Pushgateway)
    };
    let group = |pushed_at: f64, failed_at: f64| Ok(Some(PushedGroup { pushed_at, failed_at }));
    assert_eq!(pushed(group(990.0, 0.0)), [Status::Ok]);
    assert_eq!(pushed(group(990.0, 995.0)), [Status::Fail]);
    assert_eq!(pushed(group(500.0, 0.0)), [Status::Fail]);
    assert_eq!(pushed(Ok(None)), [Status::Fail]);
    assert_eq!(pushed(Err(("refused".into(), "start it".into()))), [Status::Fail]);
}

#[test]
fn a_chain_that_ends_before_a_person_wants_a_look_wherever_it_ends() {
    let statuses_with = |alertmanager: Option<Alertmanager>| {
        let mut evidence = laptop();
        evidence.delivered.passes = vec![990.0];
        evidence.prometheus = prometheus(&[("lab", 990.0)]);
        evidence.alertmanager.result = alertmanager.ok_or_else(|| (Trouble::NotListening, "refused".to_owned()));
        statuses(&evidence, Link::Alertmanager)
    };
    assert_eq!(statuses_with(None), [Status::Warn], "no Alertmanager");
    assert_eq!(statuses_with(Some(Alertmanager::default()))[2], Status::Warn, "none that shows a receiver");
}

#[test]
fn what_answers_at_a_usual_port_and_is_something_else_is_not_used() {
    let mut evidence = laptop();
    evidence.prometheus.result = Err(service::other_service("what answers is no Prometheus"));
    assert_eq!(statuses(&evidence, Link::Prometheus), [Status::Skip]);
    evidence.prometheus.configured = true;
    assert_eq!(statuses(&evidence, Link::Prometheus), [Status::Fail]);
}

#[test]
fn cron_starts_passes_as_well_as_a_timer_does() {
    let mut evidence = laptop();
    evidence.cron = Some("/etc/cron.d/lab-probe".into());
    assert_eq!(statuses(&evidence, Link::Timer), [Status::Ok]);
    evidence.delivered.last_pass = Some(100.0);
    assert_eq!(statuses(&evidence, Link::Timer), [Status::Fail]);
    evidence.cron = None;
    evidence.delivered.last_pass = Some(990.0);
    evidence.delivered.starters.insert("backup-of-joe.service".into(), 990.0);
    assert_eq!(statuses(&evidence, Link::Timer), [Status::Ok]);
    evidence.delivered.starters.clear();
    assert_eq!(statuses(&evidence, Link::Timer), [Status::Warn], "by hand");
}

#[test]
fn a_look_that_hangs_or_breaks_costs_its_own_line() {
    let file = |name: &str| PathBuf::from(format!("/nowhere/doctor/{name}"));
    let broken = look(Link::State, file("broken"), || -> u8 { panic!("odd") }).expect_err("broken");
    assert_eq!((broken.status, &*broken.evidence), (Status::Warn, "lab-probe panicked (odd)"));
    let hung = look(Link::State, file("hung"), || std::thread::sleep(Duration::from_secs(60))).expect_err("hung");
    assert_eq!(hung.status, Status::Fail);
    assert!(hung.evidence.starts_with("/nowhere/doctor/hung does not answer"), "{hung:?}");
    let address = Secret::new("http://127.0.0.1:1");
    let reply: Reply<()> = Reply::from_one(TIMEOUT, &address, false, |_| panic!("odd"));
    assert!(matches!(&reply.result, Err((Trouble::Failing, why)) if why.contains("(odd)")), "{reply:?}");
}
