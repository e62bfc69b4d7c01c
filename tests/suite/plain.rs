//! Plain mode: a lead and two shadows as processes without a terminal fly a plan.

use crate::support::program::Stage;

const PLAN: &str = r#"
crosscheck = 1
name = "Purge"
environment = "test"
[crew]
lead = ["lead@example.org"]
shadow = ["dba@example.org", "search@example.org"]
observer = "link"
[[step]]
id = "fill"
title = "Make files"
run = "mkdir exports; touch exports/1.csv exports/2.csv"
[[step]]
id = "purge"
title = "Delete them"
class = "irreversible"
run = ["rm", "-rv", "exports"]
[[step]]
id = "gone"
title = "Show that they are gone"
run = "test ! -e exports"
"#;

#[test]
fn a_release_is_flown_without_any_terminal() {
    let stage = Stage::new(PLAN);
    let mut hub = stage.serve(&[]);
    let lead = stage.join_without_terminal("lead@example.org");
    let mut shadows = ["dba@example.org", "search@example.org"].map(|who| stage.join_without_terminal(who));

    lead.ok("arm fill");
    lead.ok("run");
    lead.expect("fill done");
    assert!(stage.path("exports/1.csv").exists());

    lead.ok("arm purge");
    for shadow in &shadows {
        shadow.expect("argument 1: -rv");
        shadow.expect("--- digest");
        assert!(lead.refused("run").contains("check"), "two checks are needed");
        shadow.ok("check");
    }
    lead.ok("run");
    lead.expect("purge done");
    assert!(!stage.path("exports").exists());

    lead.ok("arm gone");
    lead.ok("run");
    lead.expect("gone done");
    lead.ok("close well done");
    assert!(hub.wait().success(), "{}", hub.printed());
    for shadow in &mut shadows {
        shadow.expect("the session is closed");
        assert!(shadow.wait().success());
    }
    let closed = stage.events("SessionClosed");
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0]["outcome"], "complete");
}
