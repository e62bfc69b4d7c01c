use super::Plan;
/// One thing that is wrong in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// where
    pub span: std::ops::Range<usize>,
    /// what
    pub message: String,
    /// label
    pub label: String,
    /// help
    pub help: Option<String>,
}
/// Everything wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad plan")]
pub struct PlanError {
    /// rendered
    pub problems: Vec<Problem>,
}
pub(super) fn parse(_origin: &str, _text: &str) -> Result<Plan, PlanError> {
    Err(PlanError { problems: vec![] })
}
