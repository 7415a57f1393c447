//! Everything below `monitoring/`, judged by the programs that read it: promtool, Prometheus, amtool, Alertmanager,
//! VictoriaMetrics, Grafana's own types and two parsers of compose files.

mod alertmanager;
mod compose;
mod dashboards;
mod doctor;
mod growth;
mod lab;
mod mixin;
mod rule_files;
mod rules;
mod running;
mod stack;
mod storage;
mod synthetic;
mod telegram;
mod tools;
