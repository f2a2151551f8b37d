// Takes every permit to spin, so that who waits does it in the kernel, at once.
#pragma once

#include "plain/spin.hpp"

#include <memory>
#include <vector>

class NoSpinning {
public:
    NoSpinning() {
        for (;;) {
            auto permit = std::make_unique<ep::SpinPermit>();
            if (!*permit) {
                return;
            }
            permits_.push_back(std::move(permit));
        }
    }

private:
    std::vector<std::unique_ptr<ep::SpinPermit>> permits_;
};
