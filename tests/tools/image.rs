use crate::{Desk, settings};
use nuncio::core::item::Part;
use nuncio::tools::ToolSettings;
use serde_json::json;

/// A dot: the smallest of its kind.
const GIF: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x01D\0;";

#[tokio::test]
async fn an_image_goes_to_the_model_by_what_is_in_it() {
    let desk = Desk::new();
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), b"\0\0\0\0IEND\xaeB`\x82"].concat();
    let webp = [b"RIFF".as_slice(), &4_u32.to_le_bytes(), b"WEBP"].concat();
    let cases = [
        ("png", png, "iVBORw0KGgoAAAAASUVORK5CYII="),
        ("jpeg", b"\xff\xd8\xff\xd9".to_vec(), "/9j/2Q=="),
        ("gif", GIF.to_vec(), "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"),
        ("webp", webp, "UklGRgQAAABXRUJQ"),
    ];
    for (kind, content, encoded) in cases {
        desk.put("shots/a.txt", &content);
        let tool = desk.tools.get("view_image").unwrap();
        let parts = tool.call(json!({"path": "shots/a.txt"}), desk.context()).await.unwrap();
        let label = format!("`shots/a.txt`: image/{kind}, {} bytes", content.len());
        let url = format!("data:image/{kind};base64,{encoded}");
        assert_eq!(parts, [Part::text(label), Part::Image { url, detail: None }]);
    }
}

#[tokio::test]
async fn what_cannot_be_shown_is_told() {
    let desk = Desk::with(ToolSettings { max_image: 60, ..settings() });
    desk.put("large.gif", [GIF, &[0; 60]].concat());
    desk.put("cut.gif", &GIF[..20]);
    desk.put("text.png", "not an image");
    let cases = [
        ("large.gif", "`large.gif` has more than 60 bytes, the most that can be shown. Make it smaller first."),
        ("cut.gif", "`cut.gif` (20 bytes) begins as image/gif and has no end: it is cut off."),
        (
            "text.png",
            "`text.png` (12 bytes) is no png, jpeg, gif or webp image, whatever its name says. read_file shows text.",
        ),
        (".", "`.` is a folder, not a file."),
        ("none.png", "`none.png` does not exist. list_files shows what there is."),
    ];
    for (path, expected) in cases {
        assert_eq!(desk.told("view_image", json!({"path": path})).await, expected, "{path}");
    }
}
