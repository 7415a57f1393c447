//! The compose file, read by docker-compose and podman-compose, and what it must and must not say.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::install_script;

use super::tools::{installed, monitoring, run, succeed, text, tool};

/// A copy of the compose file beside what it mounts, as on a machine that was set up.
fn project() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::copy(monitoring("compose.yml"), directory.path().join("compose.yml")).expect("a copy");
    fs::create_dir(directory.path().join("secrets")).expect("a directory");
    fs::write(directory.path().join("secrets/telegram_bot_token"), "").expect("a file");
    directory
}

/// The compose file as docker-compose understands it: anchors, merges and variables resolved.
fn resolved() -> Value {
    let directory = project();
    let file = directory.path().join("compose.yml");
    let said = succeed(tool("docker-compose").env_remove("LAB_BIND").arg("-f").arg(&file).arg("config"));
    lab_probe::yaml::read(&said).expect("YAML")
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().map(|list| list.iter().map(text_of).collect()).unwrap_or_default()
}

/// Where a published port listens, and which it is: in text as docker-compose 1 prints it, in fields as 2 does.
fn listens(port: &Value) -> (String, String) {
    match port.as_str() {
        Some(text) => {
            let mut parts = text.splitn(3, ':').map(str::to_owned);
            (parts.next().expect("an address"), parts.next().expect("a port"))
        }
        None => (text_of(&port["host_ip"]), text_of(&port["published"])),
    }
}

#[test]
fn docker_compose_and_podman_compose_take_the_file() {
    let services = resolved()["services"].as_object().expect("services").len();
    let directory = project();
    // podman-compose asks for podman's version before it reads anything; this is all of podman that reading needs.
    let podman = directory.path().join("podman");
    install_script("#!/bin/sh\necho podman version 5.6.0\n", &podman);
    let said = succeed(
        tool("python3")
            .arg(installed("python/podman_compose.py"))
            .env("PYTHONPATH", installed("python"))
            .arg("--podman-path")
            .arg(&podman)
            .arg("-f")
            .arg(directory.path().join("compose.yml"))
            .arg("config"),
    );
    let images = said.lines().filter(|line| line.trim_start().starts_with("image:")).count();
    assert_eq!(images, services, "podman-compose sees other services:\n{said}");
}

#[test]
fn every_image_is_pinned_and_every_port_is_on_loopback() {
    let config = resolved();
    let mut published = BTreeMap::new();
    for (name, service) in config["services"].as_object().expect("services") {
        let image = service["image"].as_str().expect("an image");
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        assert!(tag.chars().filter(|c| *c == '.').count() == 2, "{name}: {image} is not pinned to a release");
        for (address, port) in service["ports"].as_array().into_iter().flatten().map(listens) {
            assert_eq!(address, "127.0.0.1", "{name} listens on {address}:{port}");
            published.insert(name.clone(), port);
        }
    }
    let expected = [
        ("alertmanager", "9093"),
        ("grafana", "3001"),
        ("prometheus", "9091"),
        ("pushgateway", "9092"),
        ("victoria-metrics", "8428"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(name, port)| (name.to_owned(), port.to_owned())).into();
    assert_eq!(published, expected);
}

#[test]
fn no_container_has_more_rights_than_it_needs() {
    for (name, service) in resolved()["services"].as_object().expect("services") {
        assert!(service.get("privileged").is_none(), "{name} is privileged");
        assert_eq!(service["read_only"], true, "{name} may write to its image");
        assert_eq!(strings(&service["cap_drop"]), ["ALL"], "{name}");
        assert!(strings(&service["security_opt"]).iter().any(|o| o.starts_with("no-new-privileges")), "{name}");
        if name != "setup" {
            assert!(service["healthcheck"]["test"].is_array(), "{name} has no health check");
        }
        for mount in strings(&service["volumes"]) {
            assert!(!mount.contains(".sock"), "{name} mounts a socket: {mount}");
        }
    }
    // Relative mounts are read-only and relabelled for SELinux.
    for line in text(monitoring("compose.yml")).lines().map(str::trim).filter(|line| line.starts_with("- ./")) {
        assert!(line.ends_with(":ro,z"), "{line}");
    }
}

#[test]
fn prometheus_keeps_thirty_days_and_secrets_are_files() {
    let config = resolved();
    let prometheus = strings(&config["services"]["prometheus"]["command"]);
    assert!(prometheus.contains(&"--storage.tsdb.retention.time=30d".to_owned()), "{prometheus:?}");
    assert!(config["secrets"]["telegram_bot_token"]["file"].is_string());
    for (name, service) in config["services"].as_object().expect("services") {
        for (key, value) in service["environment"].as_object().into_iter().flatten() {
            let secret = ["PASSWORD", "TOKEN", "SECRET"].iter().any(|word| key.contains(word));
            let file = key.contains("FILE") && value.as_str().is_some_and(|path| path.starts_with('/'));
            assert!(!secret || file, "{name}: {key} holds a secret itself");
        }
    }
}

/// What the service `setup` does, without a container: its script, with the busybox that Alertmanager's image has for a shell
/// and for every command, on an empty volume.
fn set_up(out: &Path, settings: &[(&str, &str)]) -> (bool, String) {
    let applets = tempfile::tempdir().expect("a directory");
    succeed(tool("busybox").args(["--install", "-s"]).arg(applets.path()));
    let mut command = Command::new(applets.path().join("sh"));
    command.arg(monitoring("setup.sh")).arg(out).env_clear().env("PATH", applets.path());
    run(command.envs(settings.iter().copied()))
}

fn token_file(directory: &Path, token: &str) -> String {
    let path = directory.join("token");
    fs::write(&path, token).expect("a token");
    path.to_str().expect("a path").to_owned()
}

#[test]
fn setup_gives_alertmanager_the_token_as_a_file_or_writes_it_where_only_the_owner_reads() {
    let directory = tempfile::tempdir().expect("a directory");
    let token = token_file(directory.path(), "123456:AAE-secret_token\n");
    let settings = [("TELEGRAM_CHAT_ID", "-100200"), ("TELEGRAM_TOKEN_FILE", token.as_str()), ("LAB_HOST", "desk")];
    let config = directory.path().join("inline/alertmanager/alertmanager.yml");
    let (ok, said) = set_up(&directory.path().join("inline"), &settings);
    assert!(ok && !said.contains("secret_token"), "{said}");
    let written = text(&config);
    assert!(written.contains("bot_token: 123456:AAE-secret_token\n") && written.contains("chat_id: -100200\n"));
    assert_eq!(fs::metadata(&config).expect("a file").permissions().mode() & 0o777, 0o600);
    succeed(tool("amtool").arg("check-config").arg(&config));
    let node = text(directory.path().join("inline/targets/node.yml"));
    assert!(node.contains("instance: \"desk:9100\""), "{node}");

    let given = [&settings[..], &[("TOKEN_FILE_FOR_ALERTMANAGER", "/etc/alertmanager/telegram_bot_token")]].concat();
    assert!(set_up(&directory.path().join("file"), &given).0);
    let written = text(directory.path().join("file/alertmanager/alertmanager.yml"));
    assert!(written.contains("bot_token_file: /etc/alertmanager/telegram_bot_token\n"), "{written}");
    assert!(!written.contains("secret_token"));
    assert_eq!(text(directory.path().join("file/alertmanager/telegram_bot_token")), "123456:AAE-secret_token");
}

#[test]
fn setup_without_a_chat_says_so_and_leaves_receivers_that_send_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (ok, said) = set_up(directory.path(), &[("TELEGRAM_TOKEN_FILE", "/nonexistent")]);
    assert!(ok && said.contains("no Telegram chat: set TELEGRAM_CHAT_ID"), "{said}");
    let config = directory.path().join("alertmanager/alertmanager.yml");
    assert!(!text(&config).contains("telegram_configs"));
    succeed(tool("amtool").arg("check-config").arg(&config));
}

#[test]
fn setup_refuses_settings_that_could_break_out_of_the_configuration() {
    let directory = tempfile::tempdir().expect("a directory");
    let good = token_file(directory.path(), "123456:AAE-token");
    let cases = [
        ("TELEGRAM_CHAT_ID", "12; rm"),
        ("TELEGRAM_CHAT_ID", "@channel"),
        ("LAB_HOST", "lab\"]"),
        ("LAB_HOST", "lab\nother: 1"),
        ("TELEGRAM_API_URL", "ftp://example.org"),
        ("LAB_TIMEZONE", "UTC|s"),
        ("RUNBOOK_BASE_URL", "http://a b"),
    ];
    for (name, value) in cases {
        let mut settings = vec![("TELEGRAM_CHAT_ID", "1"), ("TELEGRAM_TOKEN_FILE", good.as_str())];
        settings.push((name, value));
        let (ok, said) = set_up(&directory.path().join("out"), &settings);
        assert!(!ok && said.contains(name), "{name}={value:?} is taken: {said}");
    }
    let bad = token_file(directory.path(), "not-a-token");
    let (ok, said) =
        set_up(&directory.path().join("out"), &[("TELEGRAM_CHAT_ID", "1"), ("TELEGRAM_TOKEN_FILE", bad.as_str())]);
    assert!(!ok && said.contains("holds no bot token") && !said.contains("not-a-token"), "{said}");
}

#[test]
fn grafanas_password_is_made_once_and_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let owner = fs::metadata(directory.path()).map(|m| std::os::unix::fs::MetadataExt::uid(&m)).expect("an owner");
    let owner = format!("{owner}");
    let password = || {
        assert!(set_up(directory.path(), &[("GRAFANA_OWNER", owner.as_str())]).0);
        text(directory.path().join("grafana/admin_password"))
    };
    let first = password();
    assert!(first.len() == 32 && first.chars().all(|c| c.is_ascii_alphanumeric()), "{first:?}");
    assert_eq!(password(), first);
}
