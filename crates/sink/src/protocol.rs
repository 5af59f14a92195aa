//! Names of IP protocols, as they stand in file names, metadata and the summary.

use crate::text::push_u64;

/// The names of 0 to 142, upper case, from IANA's list of assigned protocol numbers as it was in
/// 2019: file names must not change because a registry does. Empty: none, or one like "any
/// host-internal protocol" that names no protocol.
#[rustfmt::skip]
const NAMES: [&str; 143] = [
    "HOPOPT", "ICMP", "IGMP", "GGP", "IPV4", "ST", "TCP", "CBT", "EGP", "IGP", "BBN-RCC-MON",
    "NVP-II", "PUP", "ARGUS", "EMCON", "XNET", "CHAOS", "UDP", "MUX", "DCN-MEAS", "HMP", "PRM",
    "XNS-IDP", "TRUNK-1", "TRUNK-2", "LEAF-1", "LEAF-2", "RDP", "IRTP", "ISO-TP4", "NETBLT",
    "MFE-NSP", "MERIT-INP", "DCCP", "3PC", "IDPR", "XTP", "DDP", "IDPR-CMTP", "TP++", "IL", "IPV6",
    "SDRP", "IPV6-ROUTE", "IPV6-FRAG", "IDRP", "RSVP", "GRE", "DSR", "BNA", "ESP", "AH", "I-NLSP",
    "SWIPE", "NARP", "MOBILE", "TLSP", "SKIP", "IPV6-ICMP", "IPV6-NONXT", "IPV6-OPTS", "", "CFTP",
    "", "SAT-EXPAK", "KRYPTOLAN", "RVD", "IPPC", "", "SAT-MON", "VISA", "IPCV", "CPNX", "CPHB",
    "WSN", "PVP", "BR-SAT-MON", "SUN-ND", "WB-MON", "WB-EXPAK", "ISO-IP", "VMTP", "SECURE-VMTP",
    "VINES", "TTP", "NSFNET-IGP", "DGP", "TCF", "EIGRP", "OSPFIGP", "SPRITE-RPC", "LARP", "MTP",
    "AX.25", "IPIP", "MICP", "SCC-SP", "ETHERIP", "ENCAP", "", "GMTP", "IFMP", "PNNI", "PIM",
    "ARIS", "SCPS", "QNX", "A/N", "IPCOMP", "SNP", "COMPAQ-PEER", "IPX-IN-IP", "VRRP", "PGM", "",
    "L2TP", "DDX", "IATP", "STP", "SRP", "UTI", "SMP", "SM", "PTP", "ISIS OVER IPV4", "FIRE",
    "CRTP", "CRUDP", "SSCOPMCE", "IPLT", "SPS", "PIPE", "SCTP", "FC", "RSVP-E2E-IGNORE",
    "MOBILITY HEADER", "UDPLITE", "MPLS-IN-IP", "MANET", "HIP", "SHIM6", "WESP", "ROHC",
];

/// The name of an IP protocol: `TCP`, `IPV6-ICMP`, or `IP(253)` where it has none.
pub fn protocol_name(protocol: u8) -> String {
    let mut out = Vec::new();
    push_protocol(&mut out, protocol);
    String::from_utf8(out).expect("names of protocols are ASCII")
}

/// Appends the protocol's name, or `IP(n)` where it has none.
pub(crate) fn push_protocol(out: &mut Vec<u8>, protocol: u8) {
    match NAMES.get(usize::from(protocol)) {
        Some(name) if !name.is_empty() => out.extend_from_slice(name.as_bytes()),
        _ => {
            out.extend_from_slice(b"IP(");
            push_u64(out, u64::from(protocol));
            out.push(b')');
        }
    }
}

/// The same for a file name: `/` and blank become `-`.
pub(crate) fn push_protocol_in_file_name(out: &mut Vec<u8>, protocol: u8) {
    let start = out.len();
    push_protocol(out, protocol);
    for byte in &mut out[start..] {
        if matches!(byte, b'/' | b' ') {
            *byte = b'-';
        }
    }
}

/// Has the protocol ports? (TCP, UDP, DCCP, SCTP, UDP-Lite: those whose ports are read.)
pub(crate) fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 33 | 132 | 136)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn in_file_name(protocol: u8) -> String {
        let mut out = Vec::new();
        push_protocol_in_file_name(&mut out, protocol);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_stand_at_their_numbers() {
        #[rustfmt::skip]
        let expected = [
            (0, "HOPOPT"), (1, "ICMP"), (2, "IGMP"), (4, "IPV4"), (6, "TCP"), (17, "UDP"),
            (33, "DCCP"), (41, "IPV6"), (47, "GRE"), (50, "ESP"), (51, "AH"), (58, "IPV6-ICMP"),
            (59, "IPV6-NONXT"), (60, "IPV6-OPTS"), (62, "CFTP"), (64, "SAT-EXPAK"),
            (69, "SAT-MON"), (88, "EIGRP"), (89, "OSPFIGP"), (94, "IPIP"), (98, "ENCAP"),
            (100, "GMTP"), (103, "PIM"), (107, "A/N"), (112, "VRRP"), (115, "L2TP"),
            (124, "ISIS OVER IPV4"), (132, "SCTP"), (135, "MOBILITY HEADER"), (136, "UDPLITE"),
            (139, "HIP"), (142, "ROHC"),
        ];
        for (number, expected) in expected {
            assert_eq!(protocol_name(number), expected);
        }
    }

    #[test]
    fn numbers_without_a_name_are_printed() {
        for number in [61, 63, 68, 99, 114, 143, 253, 255] {
            assert_eq!(protocol_name(number), format!("IP({number})"));
        }
    }

    #[test]
    fn file_names_get_neither_slash_nor_blank_and_stay_apart() {
        assert_eq!(in_file_name(107), "A-N");
        assert_eq!(in_file_name(124), "ISIS-OVER-IPV4");
        assert_eq!(in_file_name(135), "MOBILITY-HEADER");
        let all: HashSet<String> = (0..=255).map(in_file_name).collect();
        assert_eq!(all.len(), 256);
        assert!(all.iter().all(|n| !n.contains(['/', ' ', '\\', ':'])));
    }
}
