//! What a command is started with: nothing that the daemon has.

use crate::House;
use crate::attempt::all_policies;
use nuncio::sandbox::Ended;
use rustix::io::{FdFlags, fcntl_setfd};

#[tokio::test]
async fn nothing_of_the_daemon_s_comes_along() {
    // A descriptor that the daemon forgot to protect.
    let leak = std::fs::File::open("/dev/zero").unwrap();
    fcntl_setfd(&leak, FdFlags::empty()).unwrap();
    let house = House::new();
    for policy in all_policies(&house).await {
        let tmp = house.run(&policy, "echo $TMPDIR").await.0;
        let environment = format!("PATH=/usr/local/bin:/usr/bin:/bin\nTMPDIR={tmp}\n");
        let cases = [
            // A shell adds some of its own.
            ("tr '\\0' '\\n' < /proc/$$/environ | sort", environment.trim_end()),
            ("ls /proc/$$/fd", "0\n1\n2"),
            ("grep -E '^(SigBlk|SigPnd|CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status", STATUS),
            // Its parent is no way back either.
            ("cat /proc/$PPID/environ 2> /dev/null | wc -c", "0"),
        ];
        for (script, expected) in cases {
            assert_eq!(house.run(&policy, script).await, (expected.to_owned(), Ended::Exit(0)), "{policy:?}: {script}");
        }
    }
}

const STATUS: &str = "SigPnd:\t0000000000000000\nSigBlk:\t0000000000000000\nCapInh:\t0000000000000000\n\
                      CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
                      CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2";
