/* kin/kin.h -- all of kin: structured concurrency for C on stackful fibers. */
#ifndef KIN_KIN_H
#define KIN_KIN_H

#include <kin/analyze.h>
#include <kin/checkpoint.h>
#include <kin/context.h>
#include <kin/continuation.h>
#include <kin/deferred.h>
#include <kin/dispatcher.h>
#include <kin/dump.h>
#include <kin/error.h>
#include <kin/fiber.h>
#include <kin/job.h>
#include <kin/launch.h>
#include <kin/lock.h>
#include <kin/main.h>
#include <kin/scope.h>
#include <kin/stack.h>
#include <kin/task.h>
#include <kin/time.h>
#include <kin/timeout.h>

#endif /* KIN_KIN_H */
