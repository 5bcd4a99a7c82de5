// Several pieces of work at a time.
#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <vector>

namespace g2s::app {

// Calls work(i) for every i in [0, count), `most` at a time on threads of their own, in this order as threads become free; one at a time on the
// calling thread. What work(i) throws is at place i of the result, where it threw nothing there is null: none keeps the others from running.
std::vector<std::exception_ptr> run_concurrently(std::size_t count, std::size_t most, const std::function<void(std::size_t)>& work);

}  // namespace g2s::app
