# Prints the reference results for the statistics in domain/quality as JSON. Needs R 4.2 or later and psych:
#   Rscript tests/domain/quality/reference.R > tests/domain/quality/reference.json
suppressMessages(library(psych))
set.seed(20260101)

number <- function(x) ifelse(is.na(x), "null", formatC(x, digits = 17, format = "g"))
vector_json <- function(x) paste0("[", paste(number(as.numeric(x)), collapse = ","), "]")
rows_json <- function(m) paste0("[", paste(apply(m, 1, vector_json), collapse = ","), "]")
list_json <- function(items) paste0("[", paste(items, collapse = ",\n  "), "]")
object_json <- function(...) {
  fields <- list(...)
  paste0("{", paste0('"', names(fields), '": ', unlist(fields), collapse = ", "), "}")
}

# Quadratic weighted kappa: psych::cohen.kappa with its default weights.
ratings <- function(n, levels, noise) {
  quality <- rnorm(n)
  level <- function(x) pmin(levels, pmax(1, round((levels + 1) / 2 + x))) - 1
  cbind(level(quality), level(quality + rnorm(n, sd = noise)))
}
weighted_kappa <- function(pairs) suppressWarnings(cohen.kappa(pairs)$weighted.kappa)
kappa_case <- function(pairs) {
  resampled <- replicate(2000, weighted_kappa(pairs[sample(nrow(pairs), replace = TRUE), ]))
  interval <- quantile(resampled, c(0.025, 0.975), type = 7)  # of another random sequence than the code's
  object_json(pairs = rows_json(pairs), kappa = number(weighted_kappa(pairs)),
              low = number(interval[1]), high = number(interval[2]))
}
kappas <- list(kappa_case(ratings(150, 4, 0.4)), kappa_case(ratings(80, 5, 1.5)), kappa_case(ratings(40, 3, 0.7)))

# Corrected item-total correlation: r.drop of psych::alpha. The difficulty is the mean divided by the maximum.
ability <- rnorm(90)
maxima <- c(1, 1, 1, 1, 2, 3, 4)
points <- sapply(seq_along(maxima), function(i) rbinom(90, maxima[i], plogis(ability - 1.2 + 0.4 * i)))
analysed <- suppressWarnings(suppressMessages(alpha(as.data.frame(points), check.keys = FALSE, warnings = FALSE)))
items <- object_json(points = rows_json(points), maxima = vector_json(maxima),
                     mean = vector_json(analysed$item.stats$mean), correlation = vector_json(analysed$item.stats$r.drop))

# Mantel-Haenszel: stats::mantelhaen.test. Each stratum is (reference right, reference wrong, focal right, focal wrong).
strata_case <- function(cells) {
  tables <- array(t(cells), dim = c(2, 2, nrow(cells)))
  found <- mantelhaen.test(tables, correct = TRUE)
  object_json(strata = rows_json(cells), odds_ratio = number(found$estimate),
              log_standard_error = number(diff(log(found$conf.int)) / (2 * qnorm(0.975))),
              chi_square = number(found$statistic), p_value = number(found$p.value))
}
cells <- function(strata, size, effect) {
  t(sapply(seq_len(strata), function(k) {
    reference <- rbinom(1, size, k / (strata + 1))
    focal <- rbinom(1, size - 5, plogis(qlogis(k / (strata + 1)) + effect))
    c(reference, size - reference, focal, size - 5 - focal)
  }))
}
tables <- list(strata_case(cells(8, 25, 0)), strata_case(cells(10, 30, -1)),
               strata_case(rbind(cells(6, 15, 0.5), c(3, 0, 2, 0), c(0, 4, 0, 0))))

# Logistic regression: stats::glm. The tests are differences of deviances.
logistic_case <- function(n, uniform, nonuniform) {
  group <- rbinom(n, 1, 0.4)
  total <- rbinom(n, 12, 0.6)
  right <- rbinom(n, 1, plogis(-3 + 0.5 * total + uniform * group + nonuniform * group * (total - 7)))
  control <- glm.control(epsilon = 1e-14, maxit = 100)
  m0 <- glm(right ~ total, binomial, control = control)
  m1 <- glm(right ~ total + group, binomial, control = control)
  m2 <- glm(right ~ total * group, binomial, control = control)
  u <- deviance(m0) - deviance(m1)
  v <- deviance(m1) - deviance(m2)
  object_json(rows = rows_json(cbind(total, group, right)), log_odds = number(coef(m1)["group"]),
              uniform_chi_square = number(u), uniform_p_value = number(pchisq(u, 1, lower.tail = FALSE)),
              non_uniform_chi_square = number(v), non_uniform_p_value = number(pchisq(v, 1, lower.tail = FALSE)))
}
logistic <- list(logistic_case(250, 0, 0), logistic_case(250, -1.2, 0), logistic_case(300, 0, 0.5))

# Standardised mean difference: Cohen's d with the pooled standard deviation, from the statistic of stats::t.test.
x <- rnorm(35, 0.6, 0.15)
y <- rnorm(50, 0.52, 0.2)
d <- unname(t.test(y, x, var.equal = TRUE)$statistic) * sqrt(1 / length(x) + 1 / length(y))
difference <- object_json(reference = vector_json(x), focal = vector_json(y), difference = number(d))

cat(object_json(
  r_version = paste0('"', R.version.string, '"'),
  psych_version = paste0('"', as.character(packageVersion("psych")), '"'),
  command = '"Rscript tests/domain/quality/reference.R"',
  kappas = list_json(kappas), items = items, mantel_haenszel = list_json(tables), logistic = list_json(logistic),
  mean_difference = difference
), "\n")
