#include <moxing/file.h>

#include <iostream>

int main(int argc, char** argv) {
  mox::file::write(argv[1], "outside");
  std::cout << mox::file::read(argv[1]) << "\n";
}
