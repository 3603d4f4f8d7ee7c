#include "detent/train/events/event_log.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <system_error>

#include "detent/io/tensor_file.h"
#include "detent/report/events/event_file.h"

namespace detent::train {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

std::string read_bytes(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return {};
  }
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<evaluation::EpochResult> epochs_of(const CutOffRun& run) {
  std::vector<evaluation::EpochResult> epochs = run.results.epochs;
  const auto add = [&](const std::vector<evaluation::EpochResult>& more) {
    epochs.insert(epochs.end(), more.begin(), more.end());
  };
  add(run.results.in_float_epochs);
  add(run.checkpoint.position.progress.epochs);
  return epochs;
}

std::string record_of(const evaluation::EpochResult& epoch, const std::string& measure,
                      const std::optional<optim::GradScaler::State>& scaler) {
  std::string group = epoch.phase;
  std::ranges::replace(group, ' ', '_');
  group += '/';
  std::vector<report::Scalar> scalars{{group + "loss", epoch.loss}, {group + measure, epoch.accuracy}};
  if (epoch.validation_loss) {
    scalars.push_back({group + "validation_loss", *epoch.validation_loss});
  }
  if (epoch.validation_accuracy) {
    scalars.push_back({group + "validation_" + measure, *epoch.validation_accuracy});
  }
  scalars.push_back({group + "learning_rate", epoch.learning_rate});
  if (scaler) {
    scalars.push_back({group + "loss_scale", static_cast<double>(scaler->scale)});
  }
  return report::scalars_record(now(), epoch.epoch, scalars);
}

}  // namespace

EventLog::EventLog(const std::filesystem::path& folder, const char* measure, const std::optional<CutOffRun>& earlier,
                   evaluation::Reporter& reporter)
    : path_(folder / kEventsFile), measure_(measure), reporter_(reporter) {
  const std::vector<evaluation::EpochResult> done =
      earlier ? epochs_of(*earlier) : std::vector<evaluation::EpochResult>();
  std::string bytes = earlier ? read_bytes(path_) : std::string();
  const report::WholeRecords kept = report::whole_records(bytes, 1 + done.size());
  bytes.resize(kept.bytes);
  if (kept.count == 0) {
    bytes = report::version_record(now());
  }
  for (std::size_t i = std::max<std::size_t>(kept.count, 1) - 1; i < done.size(); ++i) {
    bytes += record_of(done[i], measure_, std::nullopt);
  }
  write_text_file(path_, bytes);
}

EpochWatcher EventLog::watcher() {
  return [this](const evaluation::EpochResult& epoch, const std::optional<optim::GradScaler::State>& scaler) {
    add(record_of(epoch, measure_, scaler));
  };
}

void EventLog::finish(const evaluation::Metrics& metrics) {
  std::vector<report::Scalar> scalars;
  if (metrics.fp32.steps > 0 || metrics.fp32.was_trained_before) {
    scalars.push_back({"test/float", metrics.fp32.test_accuracy});
  }
  if (metrics.qat) {
    scalars.push_back({"test/qat", metrics.qat->test_accuracy});
  }
  if (metrics.int8) {
    scalars.push_back({"test/int8", metrics.int8->test_accuracy});
  }
  add(report::scalars_record(now(), std::ssize(metrics.epochs), scalars));
}

std::unique_ptr<EventLog> open_events(const RunOptions& options, data::TargetKind targets,
                                      const std::optional<CutOffRun>& earlier, evaluation::Reporter& reporter) {
  if (options.events) {
    return std::make_unique<EventLog>(options.out, evaluation::measure_of(targets), earlier, reporter);
  }
  std::error_code ignored;
  if (!earlier) {
    std::filesystem::remove(options.out / kEventsFile, ignored);
  }
  return nullptr;
}

void EventLog::add(const std::string& record) {
  if (!writes_) {
    return;
  }
  std::ofstream out(path_, std::ios::binary | std::ios::app);
  out.write(record.data(), static_cast<std::streamsize>(record.size()));
  out.flush();
  if (!out) {
    writes_ = false;
    reporter_.message("NO EVENTS for TensorBoard from here on, the run goes on without: " + path_.string() +
                      " cannot be written");
  }
}

}  // namespace detent::train
