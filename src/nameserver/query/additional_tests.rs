use super::tests::additional;

#[test]
fn each_of_many_name_servers_of_a_referral_gets_its_glue() {
    let text: String = (0..20)
        .map(|host| {
            format!(
                "sub 60 NS ns{host}.sub\nns{host}.sub 60 A 192.0.2.{host}\nns{host}.sub 60 AAAA ::{host}\n"
            )
        })
        .collect();
    let mut expected: Vec<String> =
        (0..20).flat_map(|host| ["A", "AAAA"].map(|rtype| format!("ns{host}.sub.t. {rtype}"))).collect();
    expected.sort();
    assert_eq!(additional(&text, "www.sub.t. A"), expected);
}

#[test]
fn hosts_too_far_behind_for_a_pointer_get_their_addresses() {
    let long = "x".repeat(250);
    let text: String = (0..70).map(|number| format!("big 60 TXT {number}{long}\n")).collect();
    let text = format!("{text}t. 60 NS ns1\nns1 60 A 192.0.2.1\nns1 60 AAAA ::1\n");
    assert_eq!(additional(&text, "big.t. TXT"), ["ns1.t. A", "ns1.t. AAAA"]);
}
