use super::Client;
use crate::fixture::*;
use serde_json::json;

/// Enough rows that reading the ledger once a second would be seen.
const ROWS: usize = 1000;

#[test]
fn a_long_csv_is_one_job_whose_answer_is_short() {
    let sandbox = Sandbox::new();
    let rows: String = (0..ROWS).map(|number| format!("{number}\n")).collect();
    sandbox.write("in.csv", &format!("id\n{rows}"));
    let mut client = Client::start(&sandbox, "-- echo '{\"ok\":true}'");
    let call = json!({"csv_path": "in.csv", "instruction": "x", "output_csv_path": "out.csv"});
    let job = client.call("spawn_agents_on_csv", call);
    assert_eq!(
        (&job["status"], &job["completed_items"]),
        (&json!("completed"), &json!(ROWS))
    );
    assert!(job.to_string().len() < 1000, "{job}");
    assert_eq!(sandbox.read("out.csv").lines().count(), ROWS + 1);
    client.close();
}
