pub struct Warning;
pub fn lint(_p: &super::Plan) -> Vec<Warning> {
    vec![]
}
