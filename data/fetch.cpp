#include "detent/data/fetch.h"

#include <curl/curl.h>

#include <array>
#include <exception>
#include <memory>
#include <system_error>

#include "detent/core/error.h"
#include "detent/data/files.h"
#include "detent/io/sha256.h"

namespace detent::data {
namespace {

constexpr std::size_t kLargestDownload = std::size_t{1} << 32;

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

struct Transfer {
  std::vector<std::byte> bytes;
  FetchProgress progress;
  const FetchCallback* callback = nullptr;
  std::exception_ptr thrown;  // by a function that libcurl called: no exception may cross its C frames

  /// What `work` returns, or `aborted` if it throws, or if some other did before: libcurl may call once more.
  template <typename Result, typename Work>
  Result guarded(Result aborted, Work&& work) noexcept {
    try {
      return thrown ? aborted : work();
    } catch (...) {
      thrown = std::current_exception();
      return aborted;
    }
  }
};

std::size_t receive(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t length = size * count;
  const std::size_t aborted = length + 1;  // any other number than the length ends the transfer
  return transfer.guarded(aborted, [&] {
    if (transfer.bytes.size() + length > kLargestDownload) {
      return aborted;
    }
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    transfer.bytes.insert(transfer.bytes.end(), bytes, bytes + length);
    return length;
  });
}

int report(void* user, curl_off_t total, curl_off_t done, curl_off_t /*upload_total*/, curl_off_t /*uploaded*/) {
  auto& transfer = *static_cast<Transfer*>(user);
  return transfer.guarded(1, [&] {
    transfer.progress.bytes = done;
    transfer.progress.total = total;
    if (*transfer.callback) {
      (*transfer.callback)(transfer.progress);
    }
    return 0;
  });
}

/// Downloads into `transfer` and returns what went wrong, or an empty text. What the callback throws is thrown.
std::string download(const std::string& url, Transfer& transfer, const FetchOptions& options) {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  const Handle handle(curl_easy_init(), &curl_easy_cleanup);
  if (kReady != CURLE_OK || handle == nullptr) {
    return "libcurl does not start";
  }
  std::array<char, CURL_ERROR_SIZE> message{};
  CURL* const curl = handle.get();
  constexpr long kOn = 1;
  constexpr long kMostRedirects = 5;
  constexpr long kSlowestBytesPerSecond = 1000;
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message.data());
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, kOn);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, kOn);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kMostRedirects);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, kOn);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, options.connect_seconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kSlowestBytesPerSecond);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, options.stall_seconds);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &receive);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &report);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  const CURLcode result = curl_easy_perform(curl);
  if (transfer.thrown) {
    std::rethrow_exception(transfer.thrown);
  }
  if (result == CURLE_OK) {
    return {};
  }
  return message[0] != '\0' ? message.data() : curl_easy_strerror(result);
}

/// The digest of all that `reader` gives, that is of the uncompressed content.
std::string content_sum(ByteReader reader) { return sha256_hex(reader.read_up_to(kLargestDownload)); }

bool is_whole(const std::filesystem::path& path, const RemoteFile& file) {
  try {
    return std::filesystem::exists(path) && content_sum(ByteReader(path)) == file.sha256;
  } catch (const Error&) {
    return false;  // damaged: to be replaced
  }
}

/// Downloads `file` from `mirror` into `path`; returns why it could not, or an empty text.
std::string fetch_from(const std::string& mirror, const RemoteFile& file, const std::filesystem::path& path,
                       const FetchCallback& callback, const FetchOptions& options) {
  Transfer transfer{{}, {file.name, mirror, 0, 0}, &callback, nullptr};
  if (std::string error = download(mirror + file.name, transfer, options); !error.empty()) {
    return error;
  }
  try {
    const std::string sum = content_sum(ByteReader("the download", transfer.bytes));
    if (sum != file.sha256) {
      return "the content's SHA-256 is " + sum + ", expected " + file.sha256;
    }
  } catch (const Error& error) {
    return error.what();
  }
  write_file(path, transfer.bytes);
  return {};
}

void fetch_file(const RemoteDataset& remote, const RemoteFile& file, const std::filesystem::path& path,
                const FetchCallback& callback, const FetchOptions& options) {
  std::string failures;
  for (const std::string& mirror : remote.mirrors) {
    const std::string error = fetch_from(mirror, file, path, callback, options);
    if (error.empty()) {
      return;
    }
    failures += (failures.empty() ? "" : "; ") + mirror + file.name + ": " + error;
  }
  fail("fetch ", remote.name, ": no mirror gives ", file.name, ": ", failures);
}

}  // namespace

RemoteDataset mnist_remote() {
  return {"mnist",
          {"https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"},
          {{"train-images-idx3-ubyte.gz", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
           {"train-labels-idx1-ubyte.gz", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
           {"t10k-images-idx3-ubyte.gz", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
           {"t10k-labels-idx1-ubyte.gz", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}}};
}

std::vector<std::string> fetch(const RemoteDataset& remote, const std::filesystem::path& folder,
                               const FetchCallback& progress, const FetchOptions& options) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  check(!error, folder.string(), ": cannot be made: ", error.message());
  std::vector<std::string> downloaded;
  for (const RemoteFile& file : remote.files) {
    const std::filesystem::path path = folder / file.name;
    if (is_whole(path, file)) {
      continue;
    }
    fetch_file(remote, file, path, progress, options);
    downloaded.push_back(file.name);
  }
  return downloaded;
}

}  // namespace detent::data
