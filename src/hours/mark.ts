/** How an app tells by which settings it is to be kept. */

/**
 * Label of an app that is kept by the controller. Its value stands for the settings: a controller that has not heard of new
 * ones yet finds another value than its own, and leaves the app alone.
 */
export const markLabel = "pulumi-hours";
