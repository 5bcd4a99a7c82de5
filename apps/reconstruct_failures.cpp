// What went wrong with pictures, as one sentence.
#include <algorithm>

#include "apps/reconstruct.h"
#include "apps/settings.h"
#include "engine/error.h"

namespace g2s::app {
namespace {

bool is_interruption(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& e) {
    return e.code() == Errc::cancelled;
  } catch (...) {
    return false;
  }
}

std::string all_of(const std::vector<const Job*>& jobs) {
  std::string all;
  for (const Job* job : jobs) all += (all.empty() ? "" : "; ") + told_failure(*job);
  return all;
}

}  // namespace

std::string told_failure(const Job& job) {
  try {
    std::rethrow_exception(job.failure);
  } catch (const Error& e) {
    const bool named = e.op() == job.stem || e.op() == job.files.image;
    return (named ? "" : job.stem + ": ") + message_of(e);
  } catch (const std::exception& e) {
    return job.stem + ": " + e.what();
  }
}

void report_failures(const std::vector<Job>& jobs) {
  std::vector<const Job*> failed, interrupted;
  std::size_t waiting = 0;
  for (const Job& job : jobs) {
    if (!job.failure) continue;
    if (!is_interruption(job.failure)) failed.push_back(&job);
    else if (job.started) interrupted.push_back(&job);
    else ++waiting;
  }
  const std::size_t count = failed.size();
  if (count == 0 && interrupted.empty() && waiting == 0) return;
  if (jobs.size() == 1) std::rethrow_exception(jobs.front().failure);
  std::string text;
  if (!interrupted.empty() || waiting > 0) {
    text = all_of(interrupted);
    if (waiting > 0) text += str(text.empty() ? "" : "; ", waiting, " of ", jobs.size(), " pictures ", waiting == 1 ? "was" : "were", " not begun");
    if (count > 0) text += str("; ", count, " failed: ", all_of(failed));
    fail(Errc::cancelled, "reconstruct", text);
  }
  fail(Errc::internal, "reconstruct", count, " of ", jobs.size(), " pictures failed", count < jobs.size() ? ", the others are done" : "", ": ", all_of(failed));
}

}  // namespace g2s::app
