"""Worktrees: all at a glance, then one row for each that is chosen."""

from parts import *

ALL = HOST + ',worktree_name=~"$worktree"'
# In a repeated row $worktree is that row's one worktree.
ONE = ALL
BY = "$host_label, worktree_name"
NAME = WHERE + " {{worktree_name}}"

DASHBOARD = dashboard(
    "lab-worktrees",
    "Every git worktree: what it is doing, how far it is from its base, and what its tests say.",
    [source_variable("datasource", "Prometheus", "lab-prometheus", "LAB Prometheus"), *host_variables(),
     environment_variable(), worktree_variable()],
    [
        table("All worktrees", "The state of each worktree now.",
              [row_of(current(f"max by ({BY}, branch, status_source, test_source) (lab_worktree_info{{{ALL}}})")),
               row_of(current(f"max by ({BY}) (lab_worktree_status{{{ALL}}})")),
               row_of(current(f"max by ({BY}) (lab_worktree_test_status{{{ALL}}})")),
               row_of(current(f"max by ({BY}) (lab_worktree_changed_files{{{ALL}}})")),
               row_of(current(f"max by ({BY}) (lab_worktree_ahead_commits{{{ALL}}})")),
               row_of(current(f"max by ({BY}) (lab_worktree_behind_commits{{{ALL}}})")),
               row_of(f"time() - max by ({BY}) (lab_worktree_last_commit_timestamp_seconds{{{ALL}}})"),
               row_of(current(f"min by ({BY}) (lab_worktree_up{{{ALL}}})")),
               row_of(f"time() - max by ({BY}) (lab_worktree_checked_timestamp_seconds{{{ALL}}})")],
              size=(24, 8), hide=("Value #A",), sort=("Worktree", False),
              columns={"worktree_name": "Worktree", "branch": "Branch", "Value #B": "Status", "Value #C": "Tests",
                       "Value #D": "Changed files", "Value #E": "Ahead", "Value #F": "Behind", "Value #G": "Last commit",
                       "Value #H": "Readable", "Value #I": "Checked", "status_source": "Status from", "test_source": "Tests from"},
              overrides=[column("Status", states=WORKTREE), column("Tests", states=TEST_STATUS),
                         column("Readable", states=UP), column("Last commit", unit="s"),
                         column("Checked", unit="s")]),
        section("$worktree", repeat="worktree"),
        timeline("Status", "complete, working, testing or blocked, over time.",
                 [query(current(f"max by ({BY}) (lab_worktree_status{{{ONE}}})"), NAME)], WORKTREE,
                 size=(8, 5), steps=thresholds((None, GOOD), (1, BUSY), (2, TESTING), (3, BAD))),
        timeline("Test status", "The verdict in force over time.",
                 [query(current(f"max by ({BY}) (lab_worktree_test_status{{{ONE}}})"), NAME)],
                 TEST_STATUS, size=(8, 5), steps=thresholds((None, IDLE), (1, GOOD), (2, BAD))),
        stat("Last commit", "Age of the commit that is checked out.",
             [now(f"time() - max by ({BY}) (lab_worktree_last_commit_timestamp_seconds{{{ONE}}})", WHERE)],
             size=(4, 5), unit="s", steps=NEUTRAL, look={"colorMode": "value"}),
        stat("Last test run", "Age of the test run behind the verdict.",
             [now(f"time() - max by ({BY}) (lab_worktree_tested_timestamp_seconds{{{ONE}}})", WHERE)],
             size=(4, 5), unit="s", steps=NEUTRAL, empty="no test run is known",
             look={"colorMode": "value"}),
        lines("Ahead and behind", "Commits that the upstream, or else the base, does not have, and the other way round.",
              [query(f"max by ({BY}) (lab_worktree_ahead_commits{{{ONE}}})", "ahead " + WHERE),
               query(f"max by ({BY}) (lab_worktree_behind_commits{{{ONE}}})", "behind " + WHERE)], size=(8, 7),
              overrides=[color_of("ahead", BUSY), color_of("behind", HALF)]),
        lines("Changed files", "Changed and untracked paths, and conflicts.",
              [query(f"max by ({BY}) (lab_worktree_changed_files{{{ONE}}})", "changed " + WHERE),
               query(f"max by ({BY}) (lab_worktree_conflicted_files{{{ONE}}})", "conflicted " + WHERE)], size=(8, 7),
              overrides=[color_of("changed", BUSY), color_of("conflicted", BAD)]),
        lines("Tests over time", "Tests of the verdict in force by result, and how long the run took.",
              [query(f"max by ({BY}, result) (lab_worktree_tests{{{ONE}}})", "{{result}} " + WHERE),
               query(f"max by ({BY}) (lab_worktree_tests_duration_seconds{{{ONE}}})", "duration " + WHERE)],
              size=(8, 7), stack=True,
              overrides=[color_of("passed", GOOD), color_of("failed", BAD), color_of("skipped", IDLE),
                         {"matcher": {"id": "byRegexp", "options": "/^duration/"}, "properties": [
                             {"id": "unit", "value": "s"}, {"id": "custom.axisPlacement", "value": "right"},
                             {"id": "custom.stacking", "value": {"mode": "none", "group": "B"}},
                             {"id": "color", "value": {"mode": "fixed", "fixedColor": TESTING}}]}]),
    ],
)
