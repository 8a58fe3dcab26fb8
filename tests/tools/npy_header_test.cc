// .npy files that tell of more, or of other things, than they hold.
#include "engine/npy_header.h"

#include <gtest/gtest.h>

#include "moxing/error.h"

namespace mox::cli {
namespace {

std::string file_of(const std::string& header, char version = 1, size_t length = std::string::npos) {
  if (length == std::string::npos) length = header.size();
  std::string bytes = "\x93NUMPY";
  bytes += {version, '\0'};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(length >> 8 * i);
  return bytes + header;
}

std::string header_of(const std::string& shape, const std::string& descr = "'<f4'",
                      const std::string& order = "False") {
  return "{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}

std::string why(const std::string& bytes) {
  try {
    parse_npy_header(bytes, "a.npy");
  } catch (const DataError& e) {
    const std::string text = e.what(), begin = "a.npy is no .npy array that can be read: ";
    EXPECT_EQ(text.rfind(begin, 0), 0u) << text;
    return text.substr(begin.size());
  }
  ADD_FAILURE() << "nothing was thrown for " << bytes;
  return {};
}

TEST(NpyHeader, AsNumPyWritesIt) {
  for (const std::string& text :
       {header_of("(2, 28, 28, 1)"), header_of("(2,28,28,1,)"), header_of("(2L, 28L, 28L, 1L)"),
        std::string("{\"shape\": (2,28,28,1), \"descr\": \"<f4\", \"fortran_order\": False}"),
        header_of("( 2 ,28,28,1 )") + "    \n"}) {
    for (const char version : {'\1', '\2', '\3'}) {
      const NpyHeader header = parse_npy_header(file_of(text, version) + "data", "a.npy");
      EXPECT_EQ(header.descr, "<f4");
      EXPECT_EQ(header.shape, (std::vector<int64_t>{2, 28, 28, 1})) << text;
      EXPECT_EQ(header.values, 1568);
      EXPECT_EQ(header.data_at, static_cast<int64_t>((version == 1 ? 10 : 12) + text.size()));
    }
  }
  EXPECT_EQ(parse_npy_header(file_of(header_of("()")), "a.npy").values, 1);
  EXPECT_EQ(parse_npy_header(file_of(header_of("(3)")), "a.npy").shape, std::vector<int64_t>{3});
}

TEST(NpyHeader, ShapesThatNoFileHas) {
  const std::string most = std::to_string(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(why(file_of(header_of("(" + most + "," + most + ",3,3)"))),
            "its shape has more values than any file holds");
  EXPECT_EQ(why(file_of(header_of("(4294967296,4294967296,1,1)"))), "its shape has more values than any file holds");
  EXPECT_EQ(why(file_of(header_of("(99999999999999999999999,28,28,1)"))),
            "a size in its shape is 99999999999999999999999, expected 1 to " + most);
  EXPECT_EQ(why(file_of(header_of("(2,0,28,1)"))), "a size in its shape is 0, expected 1 to " + most);
  std::string dimensions;
  for (int i = 0; i < 255; ++i) dimensions += "1,";
  EXPECT_EQ(why(file_of(header_of("(" + dimensions + ")"))), "its shape has 255 dimensions, expected at most 8");
  EXPECT_NE(why(file_of(header_of("(-1,28,28,1)"))).find("'shape': (-1,"), std::string::npos);
}

TEST(NpyHeader, HeadersThatAreNone) {
  EXPECT_EQ(why(""), "it does not start with \\x93NUMPY and a header");
  EXPECT_EQ(why("\x93NUMPY"), "it does not start with \\x93NUMPY and a header");
  EXPECT_EQ(why(file_of(header_of("(1,)"), 9)), "its format has version 9, expected 1 to 3");
  EXPECT_EQ(why(file_of(header_of("(1,)"), 1, 60000)), "its header is cut off");
  EXPECT_EQ(why(file_of(header_of("(1,)"), 2, 0xfffffff0)), "its header has 4294967280 bytes, expected at most 65524");
  EXPECT_EQ(why(file_of(header_of("(1,)", "[('a', '<f4')]"))), "it has a structured type; save one of its fields");
  EXPECT_EQ(why(file_of(header_of("(1,)", "'<f4'", "True"))), "it is in Fortran order; save np.ascontiguousarray(a)");
  std::string deep = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  deep.append(60000, '(');
  const std::string shown = why(file_of(deep));  // by a regular expression it took all of the stack
  EXPECT_LT(shown.size(), 400u);
  for (const char* header :
       {"", "{", "{}", "{'descr': '<f4'}", "[]", "{'descr': '<f4' 'shape': (1,)}", "{'descr': '<f4",
        "{'descr': '<f4', 'fortran_order': Falsch, 'shape': (1,)}", "{'shape': (1,", "{'shape': (,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}"})
    EXPECT_NE(why(file_of(header)).find("its header is '"), std::string::npos) << header;
}

}  // namespace
}  // namespace mox::cli
