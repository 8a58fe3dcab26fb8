#include "engine/report_page.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/json_text.h"
#include "engine/html_page.h"
#include "run/validation_names.h"

namespace mox::cli {

using nlohmann::ordered_json;

namespace {

using Curves = std::map<std::string, std::vector<ChartPoint>>;

const std::vector<ChartPoint>* find(const Curves& curves, const std::string& name) {
  const auto found = curves.find(name);
  return found == curves.end() || found->second.empty() ? nullptr : &found->second;
}

// The log has more points than the events.
const std::vector<ChartPoint>* find(const RunFolder& run, const std::string& name) {
  const auto* logged = find(run.log, name);
  return logged ? logged : find(run.events, name);
}

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02d} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02d} min", whole / 3600, whole / 60 % 60);
}

double mean(const std::vector<ChartPoint>& points) {
  double sum = 0;
  for (const ChartPoint& p : points) sum += p.y;
  return sum / points.size();
}

// A field of eval.json that somebody may have edited.
std::string split_of(const ordered_json& eval) {
  const std::string split = text_member(eval, "split");
  const bool trained_on = eval.contains("trained_on") && eval["trained_on"] == true;
  return (split.empty() ? "all" : split) + " split" + (trained_on ? ", which was trained on" : "");
}

std::string tile(const std::string& value, const std::string& name) {
  return fmt::format(R"(<div class="card tile"><b>{}</b><span>{}</span></div>)", escape_html(value), escape_html(name));
}

// JSON has no NaN: what was not finite stands there as null.
double number(const ordered_json& object, const char* key) {
  return object.contains(key) && object[key].is_number() ? object[key].get<double>()
                                                         : std::numeric_limits<double>::quiet_NaN();
}

std::string tiles(const RunFolder& run) {
  std::string out = "<div class=\"tiles\">";
  const ordered_json& eval = run.evaluation;
  double step = -1;
  for (const auto& [name, points] : run.log) step = std::max(step, points.back().x);
  if (eval.is_object()) {
    out += tile(fmt::format("{:.2f}%", 100 * number(eval, "accuracy")), "accuracy, " + split_of(eval));
    out += tile(short_number(number(eval, "loss")), "loss, " + split_of(eval));
  }
  for (const char* name : {"validation/accuracy", "validation/loss"})
    if (const auto* points = find(run.log, name))
      out += tile(short_number(points->back().y), std::string("last ") + name);
  if (const auto* loss = find(run, "loss")) out += tile(short_number(loss->back().y), "last training loss");
  if (step >= 0) out += tile(short_number(step), "last logged global step");
  // The first line counts the start-up.
  if (const auto* rate = find(run, "sample/sec"); rate && rate->size() > 1)
    out += tile(short_number(mean({rate->begin() + 1, rate->end()})), "samples a second, mean");
  if (run.last_time > run.first_time)
    out += tile(duration(run.last_time - run.first_time), "from first to last log line");
  return out + "</div>\n";
}

// Of a metric that validations alone have, the metric's.
std::string without_prefix(const std::string& name) {
  return name.starts_with(kValidationPrefix) ? name.substr(std::string(kValidationPrefix).size()) : name;
}

std::string curves(const RunFolder& run) {
  std::string out;
  std::vector<std::string> done{"sample/sec", "learning_rate"};
  auto chart = [&](const std::string& name, const std::string& title, bool smooth) {
    const std::string validated = kValidationPrefix + name;
    const auto *points = find(run, name), *others = find(run.log, validated);
    Chart chart{title, "global step", {}};
    if (points) chart.lines.push_back({name, *points, smooth});
    if (others) chart.lines.push_back({validated, *others, false});
    if (!chart.lines.empty()) out += chart_svg(chart);
    done.insert(done.end(), {name, validated});
  };
  chart("loss", "Loss", true);
  chart("accuracy", "Accuracy", true);
  for (const Curves* all : {&run.log, &run.events})
    for (const auto& [logged, points] : *all)
      if (const std::string name = without_prefix(logged); std::find(done.begin(), done.end(), name) == done.end())
        chart(name, name, true);
  chart("learning_rate", "Learning rate", false);
  if (const auto* rate = find(run, "sample/sec"); rate && rate->size() > 1)
    out += chart_svg({"Throughput", "global step", {{"sample/sec", {rate->begin() + 1, rate->end()}, false}}});
  return out.empty() ? "" : "<h2>Training</h2>\n<div class=\"charts\">\n" + out + "</div>\n";
}

std::string learning_rates(const RunFolder& run) {
  if (!run.lr_find.is_object()) return "";
  ChartLine each{"loss", {}}, smooth{"smoothed", {}};
  for (const ordered_json& point : run.lr_find["points"]) {
    const double x = std::log10(number(point, "learning_rate"));
    each.points.push_back({x, number(point, "loss")});
    smooth.points.push_back({x, number(point, "smoothed")});
  }
  const std::string chart = chart_svg({"Loss over the learning rate", "log10 of the learning rate", {each, smooth}});
  if (chart.empty()) return "";
  const bool suggests = run.lr_find.contains("suggestion") && run.lr_find["suggestion"].is_number();
  return "<h2>Learning rates (--lr_find)</h2>\n<p>" +
         (suggests ? "Suggestion: " + short_number(number(run.lr_find, "suggestion")) : std::string("No suggestion.")) +
         "</p>\n<div class=\"charts\">\n" + chart + "</div>\n";
}

std::string text_of(const ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : json_text(value);
}

std::string configuration(const RunFolder& run) {
  std::string rows;
  for (const auto& [name, value] : run.config.items()) {
    const std::string text = text_of(value);
    if (!text.empty()) rows += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", escape_html(name), escape_html(text));
  }
  return rows.empty() ? "" : "<h2>Configuration</h2>\n<dl class=\"card config\">" + rows + "</dl>\n";
}

std::string checkpoints(const RunFolder& run) {
  if (run.checkpoints.empty()) return "";
  const std::string best = run.best.is_object() ? run.best.value("checkpoint", "") : "";
  std::string rows;
  for (const std::string& prefix : run.checkpoints)
    rows += fmt::format("<tr><td>{}</td><td>{}</td></tr>", escape_html(prefix),
                        prefix == best ? fmt::format("best: {} {}", escape_html(run.best.value("metric", "")),
                                                     short_number(number(run.best, "value")))
                                       : "");
  return "<h2>Checkpoints</h2>\n<div class=\"card scroll\"><table>" + rows + "</table></div>\n";
}

std::string class_name(const ordered_json& eval, size_t i) {
  if (eval.contains("classes") && i < eval["classes"].size()) return eval["classes"][i].get<std::string>();
  return std::to_string(i);
}

std::string evaluation(const ordered_json& eval) {
  std::string cells;
  for (const auto& [name, value] : eval.items())
    if (value.is_primitive())
      cells += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", escape_html(name),
                           value.is_number_float() ? short_number(value.get<double>()) : escape_html(text_of(value)));
  return "<h2>Evaluation</h2>\n<dl class=\"card config\">" + cells + "</dl>\n";
}

// Of other splits: a line each.
std::string other_evaluations(const std::vector<ordered_json>& others) {
  if (others.empty()) return "";
  std::string rows = "<tr><th>split</th><th>samples</th><th>loss</th><th>accuracy</th><th>global step</th></tr>";
  for (const ordered_json& eval : others)
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.2f}%</td><td>{}</td></tr>",
                        escape_html(split_of(eval)), short_number(number(eval, "samples")),
                        short_number(number(eval, "loss")), 100 * number(eval, "accuracy"),
                        short_number(number(eval, "global_step")));
  return "<h2>Other evaluations</h2>\n<div class=\"card scroll\"><table>" + rows + "</table></div>\n";
}

// Rows are the true classes; colours are a row's parts, so that small classes are seen as well as large ones.
std::string confusion_matrix(const ordered_json& eval) {
  if (!eval.contains("confusion") || eval["confusion"].empty()) return "";
  const ordered_json& matrix = eval["confusion"];
  std::string head = "<th></th>", rows;
  for (size_t i = 0; i < matrix.size(); ++i) head += "<th>" + escape_html(class_name(eval, i)) + "</th>";
  head += "<th>recall</th>";
  for (size_t i = 0; i < matrix.size(); ++i) {
    int64_t total = 0;
    for (const auto& count : matrix[i]) total += count.get<int64_t>();
    rows += "<tr><th>" + escape_html(class_name(eval, i)) + "</th>";
    for (size_t j = 0; j < matrix[i].size(); ++j) {
      const auto count = matrix[i][j].get<int64_t>();
      const double part = total ? static_cast<double>(count) / total : 0;
      rows += fmt::format(
          R"html(<td class="{}{}" style="background:rgba(var(--heat),{:.3f})" title="{} taken for {}: {}">{}</td>)html",
          i == j ? "right " : "", part > 0.55 ? "strong" : "", count ? 0.08 + 0.92 * part : 0.0,
          escape_html(class_name(eval, i)), escape_html(class_name(eval, j)), count, count ? short_number(count) : "");
    }
    rows += fmt::format("<th>{}</th></tr>",
                        total ? fmt::format("{:.1f}%", 100.0 * matrix[i][i].get<int64_t>() / total) : "");
  }
  return "<h2>Confusion matrix</h2>\n<p>A row is a true class, a column what the network took it for.</p>\n"
         "<div class=\"card scroll\"><table class=\"matrix\"><thead><tr>" +
         head + "</tr></thead><tbody>" + rows + "</tbody></table></div>\n";
}

// Where the classes are too many for a matrix: those that are recognised least.
std::string least_recognised(const ordered_json& eval) {
  constexpr size_t kShown = 50;
  if (eval.contains("confusion") || !eval.contains("by_class") || !eval["by_class"].is_array()) return "";
  std::vector<const ordered_json*> classes;
  for (const ordered_json& of_class : eval["by_class"])
    if (std::isfinite(number(of_class, "recall"))) classes.push_back(&of_class);
  if (classes.empty()) return "";
  std::stable_sort(classes.begin(), classes.end(), [](const ordered_json* a, const ordered_json* b) {
    return number(*a, "recall") < number(*b, "recall");
  });
  const size_t shown = std::min(classes.size(), kShown);
  const auto percent = [](double part) { return std::isfinite(part) ? fmt::format("{:.1f}%", 100 * part) : ""; };
  std::string rows = "<tr><th>class</th><th>samples</th><th>recall</th><th>precision</th></tr>";
  for (size_t i = 0; i < shown; ++i)
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                        escape_html(text_member(*classes[i], "class")), short_number(number(*classes[i], "samples")),
                        percent(number(*classes[i], "recall")), percent(number(*classes[i], "precision")));
  return fmt::format(
      "<h2>Classes</h2>\n<p>The {} of {} classes with samples that are recognised least; eval.json has "
      "all.</p>\n<div class=\"card scroll\"><table>{}</table></div>\n",
      shown, classes.size(), rows);
}

std::string pictures(const ordered_json& eval) {
  if (!eval.contains("pictures") || eval["pictures"].empty()) return "";
  std::string out;
  for (const auto& picture : eval["pictures"]) {
    const auto label = picture["label"].get<size_t>(), predicted = picture["predicted"].get<size_t>();
    const std::string name = escape_html(class_name(eval, label)), guess = escape_html(class_name(eval, predicted));
    out += fmt::format(
        R"(<div class="card picture{}"><img alt="{}" src="data:image/png;base64,{}"><b>{}</b> {:.0f}%<br><em>{}</em></div>)",
        label == predicted ? "" : " wrong", name, picture["png"].get<std::string>(), guess,
        100 * number(picture, "probability"), label == predicted ? "right" : "is " + name);
  }
  return "<h2>Sample predictions</h2>\n<p>The surest mistakes first, then samples that are right. Each picture is as "
         "the network "
         "sees it, stretched to the whole range of colours.</p>\n<div class=\"pictures\">" +
         out + "</div>\n";
}

}  // namespace

std::string report_page(const RunFolder& run, const std::string& title) {
  std::string subtitle = run.dir;
  if (run.first_time > 0)
    subtitle += fmt::format(" · {:%Y-%m-%d %H:%M} UTC", fmt::gmtime(static_cast<std::time_t>(run.first_time)));
  std::string body = "<h1>" + escape_html(title) + "</h1>\n<div class=\"sub\">" + escape_html(subtitle) + "</div>\n" +
                     tiles(run) + curves(run);
  if (run.evaluation.is_object())
    body += evaluation(run.evaluation) + confusion_matrix(run.evaluation) + least_recognised(run.evaluation) +
            pictures(run.evaluation);
  body += other_evaluations(run.others) + learning_rates(run) + configuration(run) + checkpoints(run);
  return html_page(title, body, "mox report");
}

}  // namespace mox::cli
