#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace detent::data {

/// A file of a public data set.
struct RemoteFile {
  std::string name;    ///< on the mirrors, and in the folder
  std::string sha256;  ///< of the uncompressed content: mirrors may compress as they like
};

/// What `fetch` downloads, and from where.
struct RemoteDataset {
  std::string name;
  std::vector<std::string> mirrors;  ///< URLs that end in '/', tried in this order for each file
  std::vector<RemoteFile> files;
};

/// MNIST, on two public mirrors.
RemoteDataset mnist_remote();

struct FetchProgress {
  std::string file;
  std::string mirror;
  std::int64_t bytes = 0;
  std::int64_t total = 0;  ///< 0 where the mirror does not say
};
/// Called now and then from the calling thread. What it throws ends the transfer and is thrown by `fetch`.
using FetchCallback = std::function<void(const FetchProgress&)>;

struct FetchOptions {
  long connect_seconds = 20;
  /// A transfer slower than 1 kB a second for this long is given up.
  long stall_seconds = 30;
};

/// Makes `folder` if need be and puts every file of `remote` there. A file that is there with the right content is not
/// downloaded again; one with other content is replaced. Each file is checked before it is written, atomically, so what
/// lies in the folder is always whole. Returns the names of the files that were downloaded.
/// Throws Error if no mirror gives a file, telling what each of them did.
std::vector<std::string> fetch(const RemoteDataset& remote, const std::filesystem::path& folder,
                               const FetchCallback& progress = {}, const FetchOptions& options = {});

}  // namespace detent::data
