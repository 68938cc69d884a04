/* core/environment.h -- the one way to the environment. */
#ifndef KIN_CORE_ENVIRONMENT_H
#define KIN_CORE_ENVIRONMENT_H

/* The value of an environment variable.  NULL if it is not set, and always in
 * a program that runs with more rights than whoever started it (setuid,
 * setgid, file capabilities): there the environment is not to be trusted. */
const char *kin__environment(const char *name);

#endif /* KIN_CORE_ENVIRONMENT_H */
