// Plugins that MoXing must not take.
#include <moxing/file_system.h>
#include <moxing/plugin.h>

#ifdef MISSING_SYMBOL
void gone_in_this_version();
#endif

namespace {

#ifdef MISSING_SYMBOL
void add() { gone_in_this_version(); }
#else
void add() {
  class Nothing : public mox::file::FileSystem {
    std::optional<mox::file::Stat> stat(const mox::file::Location&) override { return std::nullopt; }
    bool list(const mox::file::Location&, bool, const mox::file::EntryVisitor&) override { return false; }
    std::unique_ptr<mox::file::Stream> open(const mox::file::Location&, const mox::file::OpenMode&) override {
      return nullptr;
    }
    void make_folder(const mox::file::Location&, bool) override {}
    void remove_file(const mox::file::Location&) override {}
    void remove_folder(const mox::file::Location&) override {}
  };
  mox::file::register_file_system("s3", std::make_unique<Nothing>());
}
#endif

}  // namespace

#ifdef OTHER_VERSION
extern "C" const mox::PluginInfo* mox_plugin() {
  static constexpr mox::PluginInfo info{"0.0.9", add};
  return &info;
}
#else
MOX_PLUGIN(add)
#endif
