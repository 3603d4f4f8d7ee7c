#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/core/threads/parallel.h"

namespace detent::cli {

OptionSpec data_option() {
  return {"data", "PATH", "Folder or file of the data set (default: looked for in $DETENT_DATA and the cache)"};
}

OptionSpec threads_option() {
  return {"threads", "N", "Threads; results do not depend on it (default: all processors)"};
}

OptionSpec json_option() { return {"json", "", "Print one JSON object on standard output, and nothing else there"}; }

int threads_of(const Arguments& arguments) {
  return static_cast<int>(arguments.whole("threads", hardware_threads(), 1, 1024));
}

void in_pool(const Arguments& arguments, const std::function<void()>& work) {
  ThreadPool pool(threads_of(arguments), is_stop_requested);
  pool.run(work);
}

}  // namespace detent::cli
