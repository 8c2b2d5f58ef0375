"""The branches of the workflows, each with the test that walks it."""

from typing import Final

_BY_MODULE: Final = {
    "test_pipeline": {
        "assessment-submitted": "test_a_submitted_assessment_gets_its_result",
        "assessment-expired-without-answers": "test_an_expired_assessment_without_answers_fails",
        "assessment-submitted-late": "test_a_submission_that_comes_after_the_result_changes_nothing",
        "assessment-failed-and-rerun": "test_a_rerun_of_a_failed_assessment_gets_its_result",
        "assessment-cancelled": "test_a_cancelled_run_leaves_the_assessment_to_reconciliation",
    },
    "test_assessment": {
        "assessment-without-essays": "test_an_assessment_without_essays_calls_no_grader",
        "assessment-expired-with-answers": "test_expiry_takes_up_the_assessment_without_a_submission",
        "assessment-not-due": "test_a_claim_that_is_not_due_waits_for_the_databases_clock",
        "assessment-unknown": "test_an_assessment_that_postgres_does_not_know_ends_with_an_error_and_no_write",
    },
    "test_graded_pipeline": {
        "essays-graded": "test_a_result_that_the_model_graded_is_not_degraded",
        "degraded-then-healed": "test_a_refused_key_degrades_with_its_own_reason_and_a_retry_heals_it",
    },
    "test_essays": {
        "essays-of-several-answers": "test_every_answer_is_bought_by_an_execution_of_its_own",
        "essays-left-by-the-model": "test_only_the_essays_that_the_model_left_go_to_the_local_grader",
        "essays-with-the-provider-away": "test_a_provider_that_is_away_is_asked_five_times",
        "essays-with-a-slow-provider": "test_a_provider_that_does_not_answer_in_time_is_asked_twice",
        "essays-with-the-database-away": "test_our_own_database_is_waited_for_and_nothing_degrades",
        "essays-failed": "test_a_failed_essay_lets_the_others_end_before_the_run_fails",
    },
    "test_revision": {
        "revision-after-its-pause": "test_a_degraded_essay_is_graded_after_the_first_pause_and_published",
        "revision-repeated": "test_an_attempt_that_makes_nothing_better_publishes_nothing_and_is_repeated",
        "revision-evidence-still-degraded": "test_evidence_that_is_still_degraded_is_not_published_again",
        "revision-given-up": "test_rejected_answers_are_bought_anew_in_the_next_epoch_and_not_for_ever",
        "revision-left-to-a-person": (
            "test_an_essay_that_the_model_will_never_grade_goes_to_a_reviewer_and_is_not_asked_about_again"
            "[essay_refused_by_provider]"
        ),
        "revision-grader-failed": "test_an_essay_that_no_grader_can_grade_is_tried_once_and_keeps_its_score",
        "revision-reviewed": "test_a_review_is_published_at_once_and_buys_nothing",
        "revision-reviewed-while-healing": "test_a_review_does_not_hurry_the_healing",
        "revision-stopped": "test_an_error_of_ours_stops_the_healing_with_its_reason",
        "revision-unknown": "test_a_result_that_postgres_does_not_have_ends_the_run_without_a_record[NotFound]",
    },
    "test_webhook_delivery": {
        "webhook-delivered": "test_a_success_ends_the_run",
        "webhook-repeated": "test_attempts_go_on_until_one_succeeds",
        "webhook-dead-letter": "test_the_whole_schedule_ends_as_a_dead_letter",
        "webhook-gone-and-redelivered": "test_a_redelivery_has_a_run_of_its_own",
        "webhook-hurried": "test_a_signal_ends_the_waiting",
        "webhook-given-up": "test_giving_up_makes_a_dead_letter",
        "webhook-endpoint-disabled": "test_an_endpoint_disabled_meanwhile_gets_nothing_more",
        "webhook-lost": "test_a_run_that_was_lost_goes_on_where_it_was",
    },
    "test_catalog_embedding": {
        "catalog-built": "test_the_first_run_embeds_all_and_builds_the_index",
        "catalog-mended": "test_a_later_run_embeds_what_is_new_and_mends_the_index",
        "catalog-rebuilt": "test_a_rebuild_reports_the_drift_that_it_found",
        "catalog-without-second-store": "test_without_a_second_store_the_texts_are_embedded",
        "catalog-build-vanished": "test_a_build_that_vanished_is_begun_anew",
        "catalog-changed-meanwhile": "test_a_change_during_a_run_is_taken_up_by_the_same_run",
    },
    "test_catalog_search": {
        "search-found": "test_a_worker_finds_and_no_word_is_in_the_history",
        "search-failed": "test_a_search_that_fails_is_no_answer_and_is_not_repeated",
    },
    "test_user_erasure": {
        "erasure-of-an-answering-student": "test_a_student_who_is_answering_is_forgotten",
        "erasure-with-a-run-in-flight": "test_an_assessment_in_flight_ends_and_what_it_has_in_hand_is_refused",
        "erasure-with-a-healing-in-flight": "test_a_healing_in_flight_ends",
        "erasure-while-healing-buys": "test_a_healing_that_is_buying_an_answer_ends_without_it",
        "erasure-with-a-delivery-in-flight": "test_a_delivery_in_flight_ends[1]",
    },
    "test_retention": {
        "retention": "test_every_rule_has_its_turn_whatever_the_database_does[3]",
    },
    "test_reconciliation": {
        "reconciliation": "test_what_nobody_works_on_is_taken_up",
        "reconciliation-failed": "test_an_engine_that_stays_away_is_left_to_the_next_sweep",
    },
}

BRANCHES: Final = {
    branch: f"tests/workflows/{module}.py::{test}"
    for module, tests in _BY_MODULE.items()
    for branch, test in tests.items()
}
