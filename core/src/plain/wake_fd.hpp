// A file descriptor that becomes readable when another thread wants a thread that sleeps in poll().
#pragma once

namespace ep {

class WakeFd {
public:
    WakeFd() = default;
    WakeFd(const WakeFd &) = delete;
    WakeFd &operator=(const WakeFd &) = delete;
    ~WakeFd();

    // False, with errno, when there is none to be had. The owner only; any number of times.
    bool open() noexcept;
    // For a fd that nobody signals any more. The owner only.
    void close() noexcept;
    // To poll for reading; -1 before open(). The owner only.
    int fd() const noexcept { return read_; }
    // Makes it readable. Any thread that knows it is open.
    void signal() noexcept;
    // Makes it unreadable. The owner only.
    void drain() noexcept;

private:
    int read_ = -1;
    int write_ = -1; // the same on Linux
};

} // namespace ep
