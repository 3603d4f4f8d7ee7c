/* What runs an exported model's self-test on a Cortex-M of QEMU's mps2 boards: start-up code, without a C library, and a
 * main that counts instructions. QEMU runs one instruction a nanosecond (-icount shift=0), and SysTick counts at 25 MHz,
 * so a tick is 40 instructions. */
#include <stddef.h>
#include <stdint.h>

#define JOIN(a, b) a##b
#define SELF_TEST(name) JOIN(name, _self_test)

int32_t SELF_TEST(NAME)(void);

extern uint32_t bss_begin, bss_end, stack_bottom, stack_top;

/* ---- What compilers call -------------------------------------------------------------------------------------------- */

void *memcpy(void *to, const void *from, size_t bytes) {
  unsigned char *t = to;
  const unsigned char *f = from;
  while (bytes-- > 0) {
    *t++ = *f++;
    __asm__ volatile("");
  }
  return to;
}

void *memset(void *to, int value, size_t bytes) {
  unsigned char *t = to;
  while (bytes-- > 0) {
    *t++ = (unsigned char)value;
    __asm__ volatile("");
  }
  return to;
}

/* ---- Semihosting ---------------------------------------------------------------------------------------------------- */

static void ask_host(int32_t operation, const void *argument) {
  register int32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

static void write_text(const char *text) { ask_host(0x04, text); }

static void write_number(uint64_t value) {
  char digits[21];
  char *at = digits + 20;
  *at = 0;
  do {
    *--at = (char)('0' + (int)(value % 10));
    value /= 10;
  } while (value > 0);
  write_text(at);
}

static void leave(uint32_t status) {
  const uint32_t stopped[2] = {0x20026, status};
  ask_host(0x20, stopped);
}

/* ---- Instructions and stack ----------------------------------------------------------------------------------------- */

#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014)
#define SYSTICK_CURRENT (*(volatile uint32_t *)0xE000E018)
#define SYSTICK_TOP 0xFFFFFFU

static volatile uint32_t wraps;

static void on_systick(void) { ++wraps; }

static void start_counting(void) {
  SYSTICK_RELOAD = SYSTICK_TOP;
  SYSTICK_CURRENT = 0;
  SYSTICK_CONTROL = 7;
  while (SYSTICK_CURRENT == 0) { /* until it is loaded */
  }
}

static uint64_t instructions(void) {
  return 40 * ((uint64_t)wraps * (SYSTICK_TOP + 1) + (SYSTICK_TOP - SYSTICK_CURRENT));
}

#define PAINT 0xC0DEC0DEU

static void run(void) {
  uint32_t *free = &stack_bottom;
  uint64_t before, after;
  int32_t differing;
  for (uint32_t *at = &stack_bottom; at < (uint32_t *)__builtin_frame_address(0) - 64; ++at) {
    *at = PAINT;
  }
  start_counting();
  before = instructions();
  differing = SELF_TEST(NAME)();
  after = instructions();
  while (*free == PAINT) {
    ++free;
  }
  write_text("differing ");
  write_number((uint64_t)differing);
  write_text(" instructions ");
  write_number(after - before);
  write_text(" stack ");
  write_number((uint64_t)((const char *)&stack_top - (const char *)free));
  write_text("\n");
  leave((uint32_t)differing);
}

void start(void) {
#if defined(__ARM_FP)
  *(volatile uint32_t *)0xE000ED88 |= 0xFU << 20; /* the floating-point unit */
  __asm__ volatile("dsb\n isb");
#endif
  for (uint32_t *at = &bss_begin; at < &bss_end; ++at) {
    *at = 0;
  }
  run();
  for (;;) {
  }
}

static void on_fault(void) {
  write_text("fault\n");
  leave(99);
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &stack_top, start, on_fault, on_fault, on_fault, on_fault, on_fault, 0, 0, 0, 0, on_fault, on_fault, 0, on_fault,
    on_systick};
