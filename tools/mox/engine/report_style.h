// The style sheet of `mox report`'s page: light and dark after the reader's system.
#pragma once

namespace mox::cli {

inline constexpr char kReportStyle[] = R"css(
:root{--ink:#1c2430;--soft:#5d6b7c;--line:#e1e6ec;--page:#f5f7f9;--card:#fff;--c0:#2463c9;--c1:#d9622b;--c2:#1f8a5b;--good:#1f8a5b;--bad:#c63d3d;--heat:36,99,201}
@media (prefers-color-scheme:dark){:root{--ink:#e7ecf2;--soft:#9aa8b8;--line:#2c3642;--page:#12171d;--card:#1a212a;--c0:#6ea3f5;--c1:#f08b58;--c2:#58c493;--good:#58c493;--bad:#f07a7a;--heat:110,163,245}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:36px 24px 56px}
h1{font-size:28px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:18px;margin:38px 0 12px}
p{margin:0 0 10px;color:var(--soft)}
.sub{color:var(--soft);overflow-wrap:anywhere}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:22px}
.tile{padding:14px 16px}
.tile b{display:block;font-size:23px;line-height:1.25;font-weight:650;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:13px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:16px}
figcaption{display:flex;flex-wrap:wrap;gap:4px 16px;align-items:baseline;padding:13px 18px 2px;font-weight:600}
figcaption span:first-child{margin-right:auto}
.key{font-weight:400;font-size:13px;color:var(--soft)}
.key b{color:var(--ink);font-variant-numeric:tabular-nums}
.key i{display:inline-block;width:11px;height:3px;border-radius:2px;margin-right:6px;vertical-align:middle}
.key0{background:var(--c0)}.key1{background:var(--c1)}.key2{background:var(--c2)}
svg{display:block;width:100%;height:auto}
.grid{stroke:var(--line)}
.tick{fill:var(--soft);font-size:11.5px}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.line0{stroke:var(--c0)}.line1{stroke:var(--c1)}.line2{stroke:var(--c2)}
.dot{fill:var(--c0)}
.pale{opacity:.3;stroke-width:1.2}
.scroll{overflow-x:auto;padding:6px 10px 12px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:5px 12px;text-align:left;border-bottom:1px solid var(--line);font-weight:400}
tr:last-child>*{border-bottom:0}
th{color:var(--soft)}
.config{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));padding:6px 12px}
.config div{display:flex;justify-content:space-between;gap:16px;padding:6px 8px;border-bottom:1px solid var(--line)}
.config dt{color:var(--soft)}
.config dd{margin:0;text-align:right;overflow-wrap:anywhere}
dl{margin:0}
.matrix td,.matrix th{border:0;padding:0;font-size:12.5px}
.matrix td{width:44px;min-width:38px;height:34px;text-align:center;border:1px solid var(--card);border-radius:4px}
.matrix th{padding:3px 8px;text-align:right;white-space:nowrap}
.matrix thead th{text-align:left;vertical-align:bottom;writing-mode:vertical-rl;transform:rotate(180deg);padding:8px 11px}
.matrix .right{font-weight:650}
.strong{color:#fff}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(124px,1fr));gap:12px}
.picture{padding:10px;font-size:12.5px;line-height:1.4;border-top:3px solid var(--good)}
.picture.wrong{border-top-color:var(--bad)}
.picture img{width:100%;aspect-ratio:1;object-fit:contain;image-rendering:pixelated;border-radius:5px;background:#000;display:block;margin-bottom:7px}
.picture em{font-style:normal;color:var(--soft)}
footer{margin-top:44px;color:var(--soft);font-size:13px}
@media (max-width:520px){.charts{grid-template-columns:1fr}main{padding:20px 12px}}
)css";

}  // namespace mox::cli
