#include "data/image_table.h"

#include <algorithm>
#include <utility>

namespace mox {

namespace tf = tensorflow;

namespace data {
namespace {

ImageTable make_table(std::vector<std::string> folders, size_t files, size_t bytes) {
  const auto count = static_cast<int64_t>(files);
  return {.folders = std::move(folders),
          .names = tf::Tensor(tf::DT_UINT8, {static_cast<int64_t>(bytes)}),
          .ends = tf::Tensor(tf::DT_INT64, {count}),
          .folder_of = tf::Tensor(tf::DT_INT32, {count}),
          .sizes = tf::Tensor(tf::DT_INT64, {count}),
          .versions = tf::Tensor(tf::DT_INT64, {count})};
}

}  // namespace

std::string_view ImageTable::name(size_t i) const {
  const int64_t* end = ends.flat<int64_t>().data() + i;
  const int64_t begin = i == 0 ? 0 : end[-1];
  return {reinterpret_cast<const char*>(names.flat<uint8_t>().data()) + begin, static_cast<size_t>(*end - begin)};
}

void FolderOfImages::add(std::string_view name, int64_t size, int64_t version) {
  names_ += name;
  files_.push_back({names_.size(), size, version});
}

ImageFiles join_folders(std::vector<std::string> folders, std::vector<FolderOfImages> files) {
  size_t count = 0, bytes = 0;
  for (const FolderOfImages& folder : files) {
    count += folder.size();
    bytes += folder.names_.size();
  }
  ImageTable table = make_table(std::move(folders), count, bytes);
  uint8_t* names = table.names.flat<uint8_t>().data();
  size_t at = 0, name_at = 0;
  for (size_t number = 0; number < files.size(); ++number) {
    const FolderOfImages folder = std::exchange(files[number], {});  // its memory goes when it was copied
    std::copy(folder.names_.begin(), folder.names_.end(), names + name_at);
    for (const auto& file : folder.files_) {
      table.ends.flat<int64_t>()(static_cast<int64_t>(at)) = static_cast<int64_t>(name_at + file.end);
      table.folder_of.flat<int32_t>()(static_cast<int64_t>(at)) = static_cast<int32_t>(number);
      table.sizes.flat<int64_t>()(static_cast<int64_t>(at)) = file.size;
      table.versions.flat<int64_t>()(static_cast<int64_t>(at)) = file.version;
      ++at;
    }
    name_at += folder.names_.size();
  }
  return ImageFiles(std::make_shared<const ImageTable>(std::move(table)));
}

}  // namespace data

ImageFiles::ImageFiles() : ImageFiles(data::join_folders({}, {})) {}

size_t ImageFiles::size() const { return table_->size(); }

ImageFile ImageFiles::operator[](size_t i) const {
  const auto at = static_cast<int64_t>(i);
  const int32_t folder = table_->folder_of.flat<int32_t>()(at);
  return {.name = table_->folders[static_cast<size_t>(folder)] + std::string(table_->name(i)),
          .size = table_->sizes.flat<int64_t>()(at),
          .version = table_->versions.flat<int64_t>()(at),
          .label = folder};
}

ImageFiles ImageFiles::subset(const std::function<bool(const ImageFile&)>& keep) const {
  std::vector<data::FolderOfImages> kept(table_->folders.size());
  for (size_t i = 0; i < size(); ++i)
    if (const ImageFile file = (*this)[i]; keep(file))
      kept[static_cast<size_t>(file.label)].add(table_->name(i), file.size, file.version);
  return data::join_folders(table_->folders, std::move(kept));
}

}  // namespace mox
