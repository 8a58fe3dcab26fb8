#include "engine/html_page.h"

#include "engine/report_style.h"
#include "engine/svg_chart.h"
#include "moxing/version.h"

namespace mox::cli {

std::string html_page(const std::string& title, const std::string& body, const std::string& command) {
  return "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<link rel=\"icon\" "
         "href=\"data:,\">\n<title>" +
         escape_html(title) + "</title>\n<style>" + kReportStyle + "</style>\n</head>\n<body>\n<main>\n" + body +
         "<footer>Written by " + command + ", MoXing " + version() + "</footer>\n</main>\n</body>\n</html>\n";
}

}  // namespace mox::cli
