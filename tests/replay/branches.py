"""The branches of the workflows, each with the test that takes it."""

from typing import Final

_BY_MODULE: Final = {
    "test_pipeline": {
        "assessment-started-by-submission": "test_a_submission_starts_the_run_that_makes_the_result",
        "assessment-submitted": "test_a_submitted_assessment_gets_its_result",
        "assessment-expired-without-answers": "test_an_expired_assessment_without_answers_fails",
        "assessment-submitted-late": "test_a_submission_that_comes_after_the_result_changes_nothing",
        "assessment-failed-and-rerun": "test_a_rerun_of_a_failed_assessment_gets_its_result",
        "assessment-cancelled": "test_a_cancelled_run_leaves_the_assessment_to_reconciliation",
    },
    "test_assessment": {
        "assessment-without-essays": "test_an_assessment_without_essays_calls_no_grader",
        "assessment-expired-with-answers": "test_the_deadline_starts_scoring_without_a_submission",
        "assessment-not-due": "test_a_claim_that_is_not_due_waits_for_the_databases_clock",
        "assessment-unknown": "test_an_unknown_assessment_fails_the_run_without_a_write",
    },
    "test_graded_pipeline": {
        "essays-graded": "test_a_result_that_the_model_graded_is_not_degraded",
        "degraded-then-healed": "test_a_refused_key_degrades_with_its_own_reason_and_a_retry_heals_it",
    },
    "test_essays": {
        "essays-of-several-answers": "test_each_completion_is_requested_by_its_own_activity",
        "essays-left-by-the-model": "test_only_essays_that_the_model_did_not_grade_go_to_the_local_grader",
        "essays-with-the-provider-away": "test_an_unavailable_provider_gets_five_attempts",
        "essays-with-a-slow-provider": "test_a_provider_that_times_out_gets_two_attempts",
        "essays-with-the-database-away": "test_an_outage_of_postgres_delays_grading_without_degrading",
        "essays-failed": "test_a_failed_essay_lets_the_others_end_before_the_run_fails",
    },
    "test_revision": {
        "revision-after-its-pause": "test_a_degraded_essay_is_graded_after_the_first_pause_and_published",
        "revision-repeated": "test_an_attempt_without_improvement_publishes_nothing_and_is_repeated",
        "revision-evidence-still-degraded": "test_evidence_that_is_still_degraded_is_not_published_again",
        "revision-given-up": "test_rejected_completions_are_requested_again_in_a_limited_number_of_epochs",
        "revision-left-to-a-person": (
            "test_an_essay_that_the_model_can_never_grade_goes_to_a_reviewer_and_is_not_retried"
            "[essay_refused_by_provider]"
        ),
        "revision-grader-failed": "test_an_essay_that_no_grader_can_grade_is_tried_once_and_keeps_its_score",
        "revision-reviewed": "test_a_review_is_published_at_once_without_paid_calls",
        "revision-reviewed-while-healing": "test_a_review_does_not_advance_the_next_healing",
        "revision-stopped": "test_an_internal_error_stops_healing_with_its_reason",
        "revision-unknown": "test_an_unknown_result_ends_the_run_without_a_record[NotFound]",
    },
    "test_provider_gate": {
        "gate-released": "test_the_waiting_results_are_released_when_the_provider_answers",
        "gate-interrupted": "test_a_failure_between_batches_stops_the_release_which_then_starts_again",
        "gate-nobody-waits": "test_a_gate_that_no_result_waits_for_ends_without_a_release",
        "gate-hurried": "test_the_signal_ends_a_pause",
        "revision-released": "test_a_released_run_heals",
        "revision-not-released": ("test_a_run_that_waits_for_a_week_has_few_events_and_does_not_call_the_provider"),
        "revision-reviewed-while-waiting": "test_a_review_is_published_while_the_result_waits_for_its_provider",
    },
    "test_webhook_delivery": {
        "webhook-delivered": "test_a_success_ends_the_run",
        "webhook-repeated": "test_attempts_continue_until_one_succeeds",
        "webhook-dead-letter": "test_the_whole_schedule_ends_as_a_dead_letter",
        "webhook-gone-and-redelivered": "test_a_redelivery_has_its_own_run",
        "webhook-hurried": "test_a_signal_ends_the_wait",
        "webhook-given-up": "test_giving_up_makes_a_dead_letter",
        "webhook-endpoint-disabled": "test_an_endpoint_disabled_during_a_delivery_gets_no_more_requests",
        "webhook-lost": "test_a_lost_run_continues_with_its_next_attempt",
    },
    "test_appeal": {
        "appeal-overdue": "test_an_open_appeal_is_reminded_of_and_then_overdue",
        "appeal-answered": "test_an_answered_appeal_ends_without_a_reminder",
        "appeal-answered-without-signal": "test_a_run_without_the_signal_ends_at_its_next_timer",
        "appeal-signalled-while-open": "test_a_signal_about_an_open_appeal_changes_nothing",
        "appeal-late": "test_a_run_that_starts_late_records_at_once_what_is_due",
        "appeal-unknown": "test_an_appeal_that_does_not_exist_fails_the_run",
    },
    "test_link_mail": {
        "link-mail-sent": "test_a_mail_is_sent_and_the_history_has_neither_address_nor_token",
        "link-mail-repeated": "test_a_mail_is_tried_again_while_the_server_asks_for_it",
        "link-mail-failed": "test_a_mail_that_no_attempt_could_send_has_failed",
        "link-mail-replaced": "test_a_replaced_link_is_not_mailed",
    },
    "test_catalog_embedding": {
        "catalog-built": "test_the_first_run_embeds_all_and_builds_the_index",
        "catalog-mended": "test_a_later_run_embeds_new_texts_and_synchronizes_the_index",
        "catalog-rebuilt": "test_a_rebuild_reports_the_difference_that_it_found",
        "catalog-without-second-store": "test_without_a_second_store_the_texts_are_embedded",
        "catalog-build-vanished": "test_a_lost_build_is_started_again",
        "catalog-changed-meanwhile": "test_a_run_processes_a_change_that_happens_during_it",
    },
    "test_catalog_search": {
        "search-found": "test_a_worker_finds_credentials_and_the_history_holds_no_text",
        "search-failed": "test_a_failed_search_raises_an_error_and_is_not_retried",
    },
    "test_user_erasure": {
        "erasure-of-an-answering-student": "test_a_student_who_is_answering_is_erased",
        "erasure-with-a-run-in-flight": "test_a_running_assessment_ends_and_its_writes_are_rejected",
        "erasure-with-a-healing-in-flight": "test_a_running_healing_ends",
        "erasure-while-healing-buys": "test_a_healing_that_waits_for_a_completion_ends_without_it",
        "erasure-with-a-delivery-in-flight": "test_a_running_delivery_ends[1]",
    },
    "test_retention": {
        "retention": "test_every_rule_runs_despite_failures_of_the_database[3]",
        "retention-with-a-failed-rule": "test_a_rule_that_fails_lets_the_other_rules_run[1-error0]",
    },
    "test_rescore": {
        "rescore-computed": "test_a_corrected_key_changes_the_points_in_the_report_and_publishes_nothing",
        "rescore-applied": "test_an_applied_difference_becomes_one_revision_that_a_second_rescore_confirms",
        "rescore-graded": "test_essays_are_paid_for_once_however_often_they_are_rescored",
        "rescore-graded-locally": "test_without_a_language_model_the_local_grader_grades_essays_again",
        "rescore-stopped": "test_a_spent_budget_stops_the_computation_with_its_reason",
        "rescore-discarded": "test_a_discarded_rescore_has_no_differences_and_cannot_be_applied",
    },
    "test_rescore_waits": {
        "rescore-model-busy": "test_an_essay_waits_for_the_model_for_half_an_hour[900.0-2]",
        "rescore-discarded-while-waiting": "test_a_discarded_rescore_does_not_wait_for_the_model",
    },
    "test_reconciliation": {
        "reconciliation": "test_a_sweep_starts_missing_runs",
        "reconciliation-failed": "test_a_sweep_without_its_database_fails_after_three_attempts",
    },
}

BRANCHES: Final = {
    branch: f"tests/workflows/{module}.py::{test}"
    for module, tests in _BY_MODULE.items()
    for branch, test in tests.items()
}
