//! Whatever a client's file holds, discovery ends and its targets have names of their own.

use proptest::prelude::*;

use super::{Tree, names};

/// Values made of the keys and texts that clients give a meaning to.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let text = prop::sample::select(vec![
        "x", "", "stdio", "http", "sse", "http://h/", "${SET}", "${input:x}", "$SET", "${", "{env:SET}", "/", "é🦀",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        text.prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let key = prop::sample::select(vec![
            "mcpServers", "servers", "context_servers", "mcp_servers", "mcp", "extensions", "projects", "command",
            "args", "env", "url", "headers", "type", "cwd", "envFile", "settings", "config", "path", "allowed",
            "excluded", "disabled", "enabled", "env_vars", "bearer_token_env_var", "/", "",
        ]);
        let key = key.prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((key, inner), 0..6)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_files_hold_discovery_ends_with_targets_of_distinct_names(value in value()) {
        let tree = Tree::new().in_project();
        let text = value.to_string();
        for file in [
            "home/.claude.json", "home/.cursor/mcp.json", "home/.config/Code/User/mcp.json",
            "home/.gemini/settings.json", "home/.config/zed/settings.json", "home/.config/goose/config.yaml",
            "home/.config/opencode/opencode.json", "project/.mcp.json", "root/etc/claude-code/managed-mcp.json",
        ] {
            tree.write(file, &text);
        }
        let plan = tree.plan();
        let mut distinct: Vec<&str> = names(&plan);
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), plan.targets.len());
        prop_assert!(plan.targets.iter().all(|target| !target.origins.is_empty() && !target.name.is_empty()));
    }
}
