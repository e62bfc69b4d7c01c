//! How far a session is behind its plan.

use super::*;

#[test]
fn the_drift_is_the_sum_of_what_ran_and_a_running_step_is_never_ahead() {
    let plan = a::plan()
        .shadow(&["bo", "cy", "dan"])
        .step("drop")
        .irreversible()
        .with("expected = \"60s\"")
        .step("clean")
        .text();
    let mut desk = Desk::manned(&plan);
    let behind = |desk: &Desk| desk.session.drift(desk.now).map(|drift| drift.ms);
    assert_eq!(behind(&desk), None, "nothing ran");
    desk.arm("ana").unwrap();
    desk.check("cy").unwrap();
    desk.check("dan").unwrap();
    desk.run("ana").unwrap();
    assert_eq!(desk.recheck(), ["RunIntended"]);
    desk.spawned();
    desk.wait(20);
    assert_eq!(behind(&desk), Some(0), "nobody knows yet");
    desk.wait(70);
    assert_eq!(behind(&desk), Some(30_000));
    desk.end(0);
    desk.wait(500);
    assert_eq!(behind(&desk), Some(30_000), "what is over drifts no further");
}
