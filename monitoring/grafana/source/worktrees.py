"""Worktrees: all at a glance, then one row for each that is chosen."""

from parts import *

ALL = 'host=~"$host",worktree_name=~"$worktree"'
# In a repeated row $worktree is that row's one worktree.
ONE = ALL
BY = "host, worktree_name"
WHERE = "{{host}}"

DASHBOARD = dashboard(
    "lab-worktrees",
    "Every git worktree: what it is doing, how far it is from its base, and what its tests say.",
    [source_variable("datasource", "Prometheus", "lab-prometheus", "LAB Prometheus"), host_variable(),
     environment_variable(), worktree_variable()],
    [
        table("All worktrees", "The state of each worktree now.",
              [row_of(f"max by ({BY}, branch, status_source, test_source) (lab_worktree_info{{{ALL}}})"),
               row_of(f"max by ({BY}) (lab_worktree_status{{{ALL}}})"),
               row_of(f"max by ({BY}) (lab_worktree_test_status{{{ALL}}})"),
               row_of(f"max by ({BY}) (lab_worktree_changed_files{{{ALL}}})"),
               row_of(f"max by ({BY}) (lab_worktree_ahead_commits{{{ALL}}})"),
               row_of(f"max by ({BY}) (lab_worktree_behind_commits{{{ALL}}})"),
               row_of(f"time() - max by ({BY}) (lab_worktree_last_commit_timestamp_seconds{{{ALL}}})"),
               row_of(f"min by ({BY}) (lab_worktree_up{{{ALL}}})"),
               row_of(f"time() - max by ({BY}) (lab_worktree_checked_timestamp_seconds{{{ALL}}})")],
              size=(24, 8), hide=("Value #A",), sort=("Worktree", False),
              columns={"worktree_name": "Worktree", "branch": "Branch", "Value #B": "Status", "Value #C": "Tests",
                       "Value #D": "Changed files", "Value #E": "Ahead", "Value #F": "Behind", "Value #G": "Last commit",
                       "Value #H": "Readable", "Value #I": "Checked", "status_source": "Status from", "test_source": "Tests from",
                       "host": "Host"},
              overrides=[column("Status", states=WORKTREE), column("Tests", states=TEST_STATUS),
                         column("Readable", states=UP), column("Last commit", unit="s"),
                         column("Checked", unit="s")]),
        section("$worktree", repeat="worktree"),
        timeline("Status", "complete, working, testing or blocked, over time.",
                 [query(f"max by ({BY}) (lab_worktree_status{{{ONE}}})", "{{host}} {{worktree_name}}")], WORKTREE,
                 size=(8, 5), steps=thresholds((None, GOOD), (1, BUSY), (2, TESTING), (3, BAD))),
        timeline("Test status", "The verdict in force over time.",
                 [query(f"max by ({BY}) (lab_worktree_test_status{{{ONE}}})", "{{host}} {{worktree_name}}")],
                 TEST_STATUS, size=(8, 5), steps=thresholds((None, IDLE), (1, GOOD), (2, BAD))),
        stat("Last commit", "Age of the commit that is checked out.",
             [now(f"time() - max by ({BY}) (lab_worktree_last_commit_timestamp_seconds{{{ONE}}})", WHERE)],
             size=(4, 5), unit="s", look={"colorMode": "value"}),
        stat("Last test run", "Age of the test run behind the verdict.",
             [now(f"time() - max by ({BY}) (lab_worktree_tested_timestamp_seconds{{{ONE}}})", WHERE)],
             size=(4, 5), unit="s", look={"colorMode": "value"}),
        lines("Ahead and behind", "Commits that the upstream, or else the base, does not have, and the other way round.",
              [query(f"max by ({BY}) (lab_worktree_ahead_commits{{{ONE}}})", "ahead"),
               query(f"max by ({BY}) (lab_worktree_behind_commits{{{ONE}}})", "behind")], size=(8, 7), unit="short",
              overrides=[color_of("ahead", BUSY), color_of("behind", HALF)]),
        lines("Changed files", "Changed and untracked paths, and conflicts.",
              [query(f"max by ({BY}) (lab_worktree_changed_files{{{ONE}}})", "changed"),
               query(f"max by ({BY}) (lab_worktree_conflicted_files{{{ONE}}})", "conflicted")], size=(8, 7), unit="short",
              overrides=[color_of("changed", BUSY), color_of("conflicted", BAD)]),
        lines("Tests over time", "Tests of the verdict in force by result, and how long the run took.",
              [query(f"max by ({BY}, result) (lab_worktree_tests{{{ONE}}})", "{{result}}"),
               query(f"max by ({BY}) (lab_worktree_tests_duration_seconds{{{ONE}}})", "duration")],
              size=(8, 7), unit="short", stack=True,
              overrides=[color_of("passed", GOOD), color_of("failed", BAD), color_of("skipped", IDLE),
                         {"matcher": {"id": "byName", "options": "duration"}, "properties": [
                             {"id": "unit", "value": "s"}, {"id": "custom.axisPlacement", "value": "right"},
                             {"id": "custom.stacking", "value": {"mode": "none", "group": "B"}},
                             {"id": "color", "value": {"mode": "fixed", "fixedColor": TESTING}}]}]),
    ],
)
